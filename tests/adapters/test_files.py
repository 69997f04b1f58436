"""A project's files: every mistake at its place with its remedy; what stands nearer wins."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from connector_hub.adapters.files import Project, load_project, load_words, run_tests
from connector_hub.diagnostics import Diagnostic, Diagnostics, Mistakes
from connector_hub.errors import ConfigError, PluginError
from connector_hub.model.job import Guard, Percent, Policy, Side
from connector_hub.model.mapping import Lookup
from connector_hub.sdk.connector import Connector

HUB = """\
mappings: words
connections:
  here: {connector: acme, token: env:TOKEN}
  there: {connector: acme, token: env:OTHER, folder: data}
jobs:
  people:
    entity: contact
    left: {connection: here, resource: people}
    right: {connection: there, resource: people}
    direction: left-to-right
"""
ENTITY = """\
entity: contact
identity: [[email]]
fields:
  email: {kind: email}
  stage: {kind: choice, of: [lead, customer]}
"""
MAPPING = """\
entity: contact
connector: acme
resource: people
fields:
  email: {path: mail, via: [trim, lower]}
  stage: {path: stage, table: {lead: [L], customer: [C]}}
tests:
  - {vendor: {mail: " A@X.org", stage: L}, hub: {email: a@x.org, stage: lead}}
"""


class Acme(Connector):
    name = "acme"

    class Config(Connector.Config):
        token: SecretStr
        folder: Path | None = None
        burst: int = 10


class Shelf(Connector):
    name = "shelf"

    class Config(Connector.Config):
        folder: Path


def connectors(name: str) -> type[Connector]:
    if name == "broken":
        raise PluginError("plugin broken cannot be imported")
    found: dict[str, type[Connector]] = {"acme": Acme, "shelf": Shelf}
    if name not in found:
        raise ConfigError(f"no plugin brings a connector {name!r}", hint="install it")
    return found[name]


class Files:
    """A project in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.write("hub.yaml", HUB)
        self.write("words/contact/entity.yaml", ENTITY)
        self.write("words/contact/acme.yaml", MAPPING)

    def write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def edit(self, old: str, new: str, name: str = "hub.yaml") -> None:
        text = (self.folder / name).read_text()
        assert old in text
        self.write(name, text.replace(old, new, 1))

    def load(self, profile: str | None = None, **environ: str) -> Project:
        return load_project(
            self.folder, profile=profile, environ=environ, connectors=connectors
        )

    def mistakes(self, profile: str | None = None) -> list[Diagnostic]:
        with pytest.raises(Mistakes) as raised:
            self.load(profile)
        assert raised.value.exit_code == 2
        return list(raised.value.diagnostics)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def test_a_project_without_mistakes_is_read(files: Files) -> None:
    project = files.load()
    job = project.jobs["people"]
    assert (job.left, job.right) == (Side("here", "people"), Side("there", "people"))
    assert (job.guard, job.fields["*"]) == (Guard(), Policy())
    assert (project.state, project.key) == ("sqlite:///hub.db", "file:hub.key")
    assert project.plan_ttl == 24 * 3600
    assert project.connections["here"].secrets() == {"token": "env:TOKEN"}
    assert len(run_tests(project)) == 0


ACME = "{connector: acme, token: env:TOKEN}"
MISTAKES = [
    pytest.param(*row[1:], id=row[0])
    for row in [
        (
            "an unknown key of a job",
            "direction: left",
            "dirction: left",
            "10:5 unknown-key",
            "unknown key 'dirction'",
            "did you mean 'direction'?",
        ),
        (
            "an unknown key of the project",
            "mappings: words",
            "mapings: words",
            "1:1 unknown-key",
            "unknown key 'mapings'",
            "did you mean 'mappings'?",
        ),
        (
            "an unknown key of a side",
            "resource: people}",
            "resorce: people}",
            "8:30 unknown-key",
            "unknown key 'resorce'",
            "did you mean 'resource'?",
        ),
        (
            "an unknown key of a connection",
            ACME,
            "{connector: acme, token: env:TOKEN, brust: 1}",
            "3:45 unknown-key",
            "unknown key 'brust'",
            "did you mean 'burst'?",
        ),
        (
            "a key that is missing",
            "    entity: contact\n",
            "",
            "7:5 missing",
            "'entity' is missing",
            "add entity:",
        ),
        (
            "a missing key of a connector",
            ACME,
            "{connector: acme}",
            "3:9 missing",
            "'token' is missing",
            "add token:",
        ),
        (
            "a value of the wrong kind",
            ACME,
            "{connector: acme, token: env:TOKEN, burst: many}",
            "3:52 value",
            "burst: input should be a valid integer",
            "",
        ),
        (
            "a direction nobody knows",
            "direction: left-to-right",
            "direction: sideways",
            "10:16 value",
            "input should be 'left-to-right', 'right-to-left' or 'both'",
            "",
        ),
        (
            "a literal secret",
            "token: env:TOKEN",
            "token: pat-123",
            "3:34 secret",
            "token is a secret: only a reference may stand here",
            "write keyring:NAME, env:NAME or file:PATH",
        ),
        (
            "a literal key",
            "mappings: words",
            "mappings: words\nkey: pat-123",
            "2:6 secret",
            "the key is written out where only a reference may stand",
            "write file:PATH, keyring:NAME or env:NAME",
        ),
        (
            "an entity nobody knows",
            "entity: contact",
            "entity: contct",
            "7:13 config",
            "there is no entity 'contct'",
            "did you mean 'contact'?",
        ),
        (
            "a connection nobody knows",
            "left: {connection: here",
            "left: {connection: hree",
            "8:24 config",
            "there is no connection 'hree'",
            "did you mean 'here'?",
        ),
        (
            "a resource nobody maps",
            "resource: people}",
            "resource: peple}",
            "8:40 mapping",
            "no mapping says how acme 'peple' is a contact",
            "did you mean 'people'?; or write mappings/contact/acme.yaml",
        ),
        (
            "a connector nobody brings",
            "connector: acme, token: env:TOKEN}",
            "connector: acne, token: env:TOKEN}",
            "3:21 connector",
            "no plugin brings a connector 'acne'",
            "install it",
        ),
        (
            "a folder that is not there",
            "mappings: words",
            "mappings: [words, wrods]",
            "1:19 config",
            "there is no folder",
            "",
        ),
        (
            "a length of time",
            "mappings: words",
            "mappings: words\nplan_ttl: a day",
            "2:11 config",
            "'a day' is not a length of time",
            "write 30m, 24h or 7d",
        ),
        (
            "a state of another kind",
            "mappings: words",
            "mappings: words\nstate: mysql://u:pat-123@h/d",
            "2:8 config",
            "state 'mysql://***@h/d' cannot be used",
            "write sqlite:///hub.db",
        ),
        (
            "a bound that is none",
            "direction: left-to-right",
            "direction: left-to-right\n    guard: {update: lots}",
            "11:21 config",
            "'lots' is not a bound",
            "write a number or a share such as 10%",
        ),
        (
            "a bound above all",
            "direction: left-to-right",
            "direction: left-to-right\n    guard: {update: 101%}",
            "11:21 config",
            "'101%' is not a bound",
            "write a number or a share such as 10%",
        ),
        (
            "a field nobody knows",
            "direction: left-to-right",
            "direction: left-to-right\n    fields: {emial: {drift: revert}}",
            "11:14 config",
            "entity contact has no field 'emial'",
            "did you mean 'email'?",
        ),
        (
            "an owner that is no side",
            "direction: left-to-right",
            "direction: left-to-right\n    fields: {email: {from: sales}}",
            "11:28 config",
            "'sales' is not a connection of this job",
            "write one of: here, there",
        ),
        (
            "two rules for a field",
            "direction: left-to-right",
            "direction: left-to-right\n    fields: {email: {from: here, both: ask}}",
            "11:28 config",
            "'email' has two rules",
            "write either from: or both:",
        ),
        (
            "a side without a resource",
            "right: {connection: there, resource: people}",
            "right: {connection: there}",
            "9:5 config",
            "a side has either a resource or one_of several",
            "write resource: NAME, or one_of:",
        ),
        (
            "a resource among several that no mapping knows",
            "right: {connection: there, resource: people}",
            "right: {connection: there, one_of: [{resource: people}, {resource: peple}]}",
            "9:72 mapping",
            "no mapping says how acme 'peple' is a contact",
            "did you mean 'people'?",
        ),
        (
            "a resource that is there twice",
            "right: {connection: there, resource: people}",
            "right: {connection: there, one_of: [{resource: people}, {resource: people}]}",
            "9:61 config",
            "'people' is there twice",
            "",
        ),
        (
            "the newest where a side has no clock",
            "direction: left-to-right",
            "direction: both\n    fields: {email: {both: newest}}",
            "11:28 config",
            "acme people does not say when a field was edited",
            "write left, right, fill or ask",
        ),
        (
            "a copy where neither is one",
            "direction: left-to-right",
            "direction: both\n    only: {stage: [lead]}\n    leaving: delete",
            "12:14 config",
            "in a two-way job neither record is the copy of the other",
            "write leaving: unlink",
        ),
        (
            "new records that go elsewhere",
            "right: {connection: there, resource: people}",
            "right: {connection: there, resource: people, create_as: [{resource: people}]}",
            "9:50 config",
            "create_as goes with one_of",
            "",
        ),
    ]
]


@pytest.mark.parametrize(("old", "new", "place", "message", "hint"), MISTAKES)
def test_a_mistake_is_told_once_at_its_place_with_its_remedy(
    files: Files, *, old: str, new: str, place: str, message: str, hint: str
) -> None:
    files.edit(old, new)
    (found, *more) = [
        d for d in files.mistakes() if d.code != "missing" or "missing" in place
    ]
    assert f"{found.line}:{found.column} {found.code}" == place
    assert message in found.message
    assert hint in found.hint
    assert found.file == str(files.folder / "hub.yaml")
    assert "pat-123" not in found.render()
    assert more == []


WORDS = "words/contact/acme.yaml"


@pytest.mark.parametrize(
    ("name", "old", "new", "place", "message", "hint"),
    [
        (
            WORDS,
            "email: {path",
            "emial: {path",
            "5:3 mapping",
            "entity contact has no field 'emial'",
            "did you mean 'email'?",
        ),
        (
            WORDS,
            "trim, lower",
            "trim, lowr",
            "5:35 mapping",
            "no transform is called 'lowr'",
            "did you mean 'lower'?",
        ),
        (
            WORDS,
            "{lead: [L]",
            "{laed: [L]",
            "6:32 mapping",
            "'laed' is not a word of 'stage'",
            "did you mean 'lead'?",
        ),
        (
            WORDS,
            "path: stage",
            "paht: stage",
            "6:11 unknown-key",
            "unknown key 'paht'",
            "did you mean 'path'?",
        ),
        (
            WORDS,
            "entity: contact",
            "entity: contct",
            "1:9 config",
            "there is no entity 'contct'",
            "did you mean 'contact'?",
        ),
        (
            WORDS,
            "resource: people",
            "resource: people\nextends: shipped",
            "4:10 config",
            "nothing shipped maps contact acme people",
            "",
        ),
        (
            "words/contact/entity.yaml",
            "kind: email",
            "kind: mail",
            "4:17 value",
            "fields.email.kind",
            "",
        ),
        (
            "words/contact/entity.yaml",
            "[[email]]",
            "[[emial]]",
            "2:12 config",
            "there is no field 'emial'",
            "did you mean 'email'?",
        ),
        (
            "words/contact/entity.yaml",
            ", of: [lead, customer]",
            "",
            "5:3 config",
            "choice 'stage' needs `of:`",
            "",
        ),
        (
            "words/contact/entity.yaml",
            "kind: email",
            "kind: link",
            "4:3 config",
            "link 'email' needs `to:`",
            "",
        ),
    ],
)
def test_a_mistake_in_a_mapping_is_told_at_its_place_in_that_file(
    files: Files,
    *,
    name: str,
    old: str,
    new: str,
    place: str,
    message: str,
    hint: str,
) -> None:
    files.edit(old, new, name)
    found = [d for d in files.mistakes() if d.file.endswith(name)]
    told = {f"{d.line}:{d.column} {d.code}": d for d in found}
    assert place in told, [d.render() for d in found]
    assert message in told[place].message
    assert hint in told[place].hint


def test_all_mistakes_of_a_project_are_told_at_once(files: Files) -> None:
    files.edit("entity: contact", "entity: contct")
    files.edit("token: env:TOKEN", "token: pat-123")
    files.edit("trim, lower", "trim, lowr", WORDS)
    assert {d.code for d in files.mistakes()} == {"config", "secret", "mapping"}


@pytest.mark.parametrize("text", ["", "# nothing\n"])
def test_an_empty_project_is_told_what_it_lacks(files: Files, text: str) -> None:
    files.write("hub.yaml", text)
    assert [d.message for d in files.mistakes()] == ["'connections' is missing"]


@pytest.mark.parametrize("text", ["hello\n", "- a\n"])
def test_a_file_that_is_no_list_of_keys_is_told_so(files: Files, text: str) -> None:
    files.write("hub.yaml", text)
    assert [d.message for d in files.mistakes()] == ["a project is a list of keys"]
    files.write("hub.yaml", HUB)
    files.write(WORDS, text)
    told = {d.message for d in files.mistakes() if d.file.endswith(WORDS)}
    assert told == {"a list of keys is wanted here"}


def test_no_project_is_told_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"hub\.yaml is missing") as told:
        load_project(tmp_path, profile=None, environ={}, connectors=connectors)
    assert "connector-hub init" in told.value.hint


def test_a_variable_is_filled_in_and_a_missing_one_is_told(files: Files) -> None:
    files.edit("token: env:TOKEN", "token: env:TOKEN, base_url: '${URL}/x'")
    project = files.load(URL="https://acme.example")
    assert project.connections["here"].config.base_url == "https://acme.example/x"
    (found,) = files.mistakes()
    assert (found.code, found.line) == ("variable", 3)


def test_a_broken_plugin_keeps_its_own_connections_from_use_and_no_other(
    files: Files,
) -> None:
    files.edit("connector: acme, token: env:OTHER, folder: data", "connector: broken")
    project = files.load()
    assert set(project.connections) == {"here"}
    assert set(project.broken) == {"there"}
    assert ":4:" in project.broken["there"].where


def test_paths_are_relative_to_the_project(files: Files) -> None:
    files.edit(ACME, "{connector: shelf, folder: data}")
    files.write("words/contact/shelf.yaml", MAPPING.replace("acme", "shelf"))
    assert files.load().connections["here"].config.folder == files.folder / "data"


@pytest.mark.parametrize(
    ("said", "field"),
    [("", "default"), (", key_field: k", "k"), (", key_field: none", None)],
)
def test_a_key_field_is_the_connectors_own_another_or_none(
    files: Files, said: str, field: str | None
) -> None:
    files.edit("token: env:TOKEN", f"token: env:TOKEN{said}")
    assert files.load().connections["here"].key_field == field


def test_a_guard_takes_numbers_and_shares(files: Files) -> None:
    files.edit(
        "direction: left-to-right",
        "direction: left-to-right\n    guard: {create: 500, update: 10%, delete: 2}",
    )
    guard = files.load().jobs["people"].guard
    assert guard == Guard(create=500, update=Percent(10.0), delete=2)


def test_policies_come_from_fields_conflicts_and_first(files: Files) -> None:
    files.edit(
        "direction: left-to-right",
        "direction: both\n"
        "    fields: {email: {from: there, drift: revert}}\n"
        "    conflicts: {stage: fill, '*': left}\n"
        "    first: {stage: ask}",
    )
    assert files.load().jobs["people"].fields == {
        "*": Policy(both="left"),
        "email": Policy("right", revert=True),
        "stage": Policy(both="fill", first="ask"),
    }


PROFILE = "profiles: {staging: {state: 'sqlite:///s.db', connections: {here: third}}}\n"


THIRD = "  third: {connector: acme, token: env:TOKEN}\njobs:"


def test_a_profile_swaps_connections_and_state(files: Files) -> None:
    files.write("hub.yaml", HUB.replace("jobs:", THIRD) + PROFILE)
    staging = files.load("staging")
    assert staging.jobs["people"].left.connection == "third"
    assert staging.state == "sqlite:///s.db"
    assert files.load().jobs["people"].left.connection == "here"


def test_a_profile_nobody_knows_gets_the_nearest(files: Files) -> None:
    files.write("hub.yaml", HUB.replace("jobs:", THIRD) + PROFILE)
    (found,) = files.mistakes("stagin")
    assert (found.line, found.hint) == (12, "did you mean 'staging'?")
    files.edit("here: third", "here: thrd")
    assert "'thrd'" in files.mistakes("staging")[0].message


def overlay(*fields: str, extends: bool = True) -> str:
    """A mapping of hubspot's contacts that says something about these fields."""
    head = "entity: contact\nconnector: hubspot\nresource: contacts\n"
    head += "extends: shipped\n" if extends else ""
    return head + "fields:\n" + "".join(f"  {f}\n" for f in fields)


def rules(project: Project) -> dict[str, str | None]:
    spec = project.mapping("contact", "hubspot", "contacts")
    return {name: rule.path for name, rule in spec.rules.items()}


def a_plugin_with_mappings(
    monkeypatch: pytest.MonkeyPatch, site: Path, text: str
) -> None:
    """An installed distribution whose package brings a mapping."""
    info = site / "toy_hub-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toy-hub\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[connector_hub]\ntoy = toy_hub\n")
    folder = site / "toy_hub" / "mappings" / "contact"
    folder.mkdir(parents=True)
    (site / "toy_hub" / "__init__.py").touch()
    (folder / "hubspot.yaml").write_text(text)
    monkeypatch.syspath_prepend(str(site))


def test_the_projects_mapping_goes_before_the_plugins_and_that_before_the_shipped(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    plugin = overlay("title: {path: plugin.title}", "city: {path: plugin.city}")
    a_plugin_with_mappings(monkeypatch, files.folder / "site", plugin)
    files.edit("mappings: words", "mappings: [shipped, mine]")
    files.edit(HUB[HUB.index("jobs:") :], "")
    files.write("mine/contact/hubspot.yaml", overlay("city: {path: mine.city}"))
    found = rules(files.load())
    assert found["city"] == "mine.city"
    assert found["title"] == "plugin.title"
    assert found["email"] == "properties.email"


def test_a_mapping_that_extends_nothing_replaces_what_is_shipped(files: Files) -> None:
    files.edit("mappings: words", "mappings: [shipped, mine]")
    files.edit(HUB[HUB.index("jobs:") :], "")
    mine = overlay("city: {path: mine.city}", extends=False)
    files.write("mine/contact/hubspot.yaml", mine)
    assert rules(files.load()) == {"city": "mine.city"}


def test_the_folder_called_mappings_need_not_be_there(files: Files) -> None:
    files.edit("mappings: words\n", "")
    files.edit(HUB[HUB.index("jobs:") :], "")
    assert "contact" in files.load().words.entities


def test_a_mapping_nobody_wrote_names_the_file_to_write(files: Files) -> None:
    project = files.load()
    assert project.mapping("contact", "acme", None).resource == "people"
    with pytest.raises(ConfigError, match="no mapping says how acme deals") as told:
        project.mapping("contact", "acme", "deals")
    assert told.value.hint == "write mappings/contact/acme.yaml"
    with pytest.raises(ConfigError, match="no entity 'contct'"):
        project.entity("contct")


@pytest.mark.parametrize(
    ("old", "new", "place", "message"),
    [
        (
            "email: a@x.org,",
            "email: b@x.org,",
            "8:57",
            "test 1: email should be 'b@x.org', it is 'a@x.org'",
        ),
        (
            "stage: L}, hub",
            "other: L}, hub",
            "8:73",
            "test 1: stage should be 'lead', it is absent",
        ),
    ],
)
def test_a_mappings_test_that_fails_is_told_at_its_place(
    files: Files, old: str, new: str, place: str, message: str
) -> None:
    files.edit(old, new, WORDS)
    (found,) = run_tests(files.load())
    assert (f"{found.line}:{found.column}", found.code) == (place, "mapping-test")
    assert found.message == message


def test_every_mapping_that_is_shipped_is_without_mistakes() -> None:
    found = Diagnostics()
    words = load_words([None], found)
    assert found.render().startswith("Found 0 mistakes")
    assert {
        ("contact", "hubspot", "contacts"),
        ("contact", "salesforce", "Contact"),
    } <= (set(words.dialects))


def test_a_connection_says_where_its_numbers_and_days_are(files: Files) -> None:
    files.edit(
        "kind: email}",
        "kind: email}\n  tel: {kind: phone}",
        "words/contact/entity.yaml",
    )
    files.edit(
        "fields:",
        "fields:\n  tel: {path: tel, via: [phone(region)]}",
        "words/contact/acme.yaml",
    )
    files.edit("token: env:TOKEN", "token: env:TOKEN, region: ID")
    project = files.load()
    here = project.mapping_at("here", "contact", "people").rules["tel"]
    there = project.mapping_at("there", "contact", "people").rules["tel"]
    assert (here.via, there.via) == (("phone(ID)",), ("phone(region)",))


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("region: XX", "there is no region 'XX'"),
        ("zone: Mars", "there is no zone 'Mars'"),
    ],
)
def test_a_place_that_does_not_exist_is_told(
    files: Files, option: str, said: str
) -> None:
    files.edit("token: env:TOKEN", f"token: env:TOKEN, {option}")
    (found,) = files.mistakes()
    assert (found.message, found.line) == (said, 3)


def test_days_in_the_zone_of_a_connection_need_one(files: Files) -> None:
    files.edit(
        "kind: email}",
        "kind: email}\n  born: {kind: date}",
        "words/contact/entity.yaml",
    )
    files.edit(
        "fields:",
        "fields:\n  born: {path: b, via: [day_in(zone)]}",
        "words/contact/acme.yaml",
    )
    files.edit("token: env:TOKEN", "token: env:TOKEN, zone: Asia/Jakarta")
    (found,) = files.mistakes()
    assert "'born' are in the zone of there, which has none" in found.message
    files.edit("token: env:OTHER", "token: env:OTHER, zone: UTC")
    assert files.load().jobs


def test_a_mapping_test_can_say_where_it_is(files: Files) -> None:
    files.edit(
        "kind: email}",
        "kind: email}\n  tel: {kind: phone}\n  born: {kind: date}",
        "words/contact/entity.yaml",
    )
    files.edit(
        "fields:",
        "fields:\n  tel: {path: tel, via: [phone(region)]}\n  born: {path: b, via: [day_in(zone)]}",
        "words/contact/acme.yaml",
    )
    files.edit(
        "tests:",
        """tests:
  - region: DE
    zone: Asia/Jakarta
    vendor: {tel: 030 901820, b: "2026-11-24T20:00:00Z"}
    hub: {tel: "+4930901820", born: 2026-11-25}""",
        "words/contact/acme.yaml",
    )
    for n in ("OTHER", "TOKEN"):
        files.edit(f"token: env:{n}", f"token: env:{n}, zone: UTC")
    assert len(run_tests(files.load())) == 0


def test_conditions_and_lookups_are_read(files: Files) -> None:
    files.edit(
        "stage: {path: stage,",
        "stage: {when: {email: [yes, true]}, path: stage,",
        "words/contact/acme.yaml",
    )
    files.edit(
        "email: {path: mail,",
        "email: {lookup: {resource: users, by: mail, else: leave}, path: mail,",
        "words/contact/acme.yaml",
    )
    rules = files.load().mapping("contact", "acme", "people").rules
    assert rules["stage"].when == {"email": ("yes", "true")}
    assert rules["email"].lookup == Lookup("users", "mail")
