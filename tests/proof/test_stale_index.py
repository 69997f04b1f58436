"""What a vendor's index shows may be old: it is dismissed or read again by id, never acted on."""

from __future__ import annotations

from tests.luck.accounts import contact, edit_left, edit_right, left, rows, sf


async def test_an_old_value_in_the_index_is_not_taken_for_an_edit(opened, vendors):
    vendors["sales"].search_lag = 60.0
    here, there = contact(vendors, 1), sf(vendors, 1)
    async with opened("both") as hub:
        await hub.sync("contacts")
        for v in vendors.values():
            v.clock.advance(600)
        edit_left(vendors, here, city="Bandung")
        await hub.sync("contacts")
        edit_right(vendors, there, Title="CEO")
        await hub.sync("contacts")
        assert left(vendors)[here]["jobtitle"] == "CEO"
        # the index has the edit of the city now, and not yet what the hub wrote
        for v in vendors.values():
            v.clock.advance(55)
        for _ in range(2):
            await hub.sync("contacts")
            assert left(vendors)[here]["jobtitle"] == "CEO"
            (row,) = [r for r in rows(vendors) if r["Id"] == there]
            assert (row["Title"], row["MailingCity"]) == ("CEO", "Bandung")
            for v in vendors.values():
                v.clock.advance(61)


async def test_what_the_index_shows_and_nobody_answers_is_asked_for_again(
    opened, vendors, monkeypatch
):
    here = contact(vendors, 1)
    async with opened("both") as hub:
        await hub.sync("contacts")
        for v in vendors.values():
            v.clock.advance(600)
        edit_left(vendors, here, city="Bandung")
        for v in vendors.values():
            v.clock.advance(300)
        connector = (await hub.connect("sales")).connector

        async def silent(*_: object) -> list[object]:
            return []

        with monkeypatch.context() as patch:
            patch.setattr(connector, "fetch", silent)
            await hub.sync("contacts")
        for v in vendors.values():
            v.clock.advance(600)
        await hub.sync("contacts")
    (row,) = [r for r in rows(vendors) if r["Email"] == "p1@x.org"]
    assert row["MailingCity"] == "Bandung"
