"""zohocrmsdk as a sync would use it."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

from zohocrmsdk.src.com.zoho.api.authenticator import OAuthToken
from zohocrmsdk.src.com.zoho.api.authenticator.store import FileStore
from zohocrmsdk.src.com.zoho.api.logger import Logger
from zohocrmsdk.src.com.zoho.crm.api import HeaderMap, Initializer, ParameterMap
from zohocrmsdk.src.com.zoho.crm.api.convert_lead import (
    BodyWrapper as Conversion,
)
from zohocrmsdk.src.com.zoho.crm.api.convert_lead import (
    ConvertLeadOperations,
    LeadConverter,
)
from zohocrmsdk.src.com.zoho.crm.api.coql import BodyWrapper as Query
from zohocrmsdk.src.com.zoho.crm.api.coql import CoqlOperations
from zohocrmsdk.src.com.zoho.crm.api.dc import DataCenter
from zohocrmsdk.src.com.zoho.crm.api.fields import FieldsOperations, GetFieldsParam
from zohocrmsdk.src.com.zoho.crm.api.record import (
    BodyWrapper,
    DeleteRecordsParam,
    Field,
    GetDeletedRecordsHeader,
    GetDeletedRecordsParam,
    GetRecordsHeader,
    GetRecordsParam,
    Record,
    RecordOperations,
)
from zohocrmsdk.src.com.zoho.crm.api.sdk_config import SDKConfig
from zohocrmsdk.src.com.zoho.crm.api.users import GetUsersParam, UsersOperations

FIELDS = "id,Last_Name,Email,Modified_Time"


def main(url: str, app: dict[str, str]) -> dict[str, Any]:
    Initializer.initialize(
        environment=DataCenter.Environment(url, f"{url}/oauth/v2/token", url),
        token=OAuthToken(**app),
        store=FileStore("tokens.txt"),
        sdk_config=SDKConfig(auto_refresh_fields=False, pick_list_validation=False),
        resource_path=".",
        logger=Logger.get_instance(level=Logger.Levels.ERROR, file_path="sdk.log"),
    )
    return {**reading(), **writing(), **querying(), **converting(), **describing()}


def reading() -> dict[str, Any]:
    operations, found, token, pages = RecordOperations("Contacts"), [], None, 0
    while True:
        params = ParameterMap()
        params.add(GetRecordsParam.fields, FIELDS)
        params.add(GetRecordsParam.per_page, 200)
        if token:
            params.add(GetRecordsParam.page_token, token)
        told = operations.get_records(params, HeaderMap()).get_object()
        found += [r.get_id() for r in told.get_data()]
        pages += 1
        token = told.get_info().get_next_page_token()
        if not told.get_info().get_more_records():
            break
    headers = HeaderMap()
    later = datetime.now(UTC) + timedelta(days=1)
    headers.add(GetRecordsHeader.if_modified_since, later)
    params = ParameterMap()
    params.add(GetRecordsParam.fields, FIELDS)
    unmoved = operations.get_records(params, headers)
    return {
        "read": sorted(str(i) for i in found),
        "pages": pages,
        "unmoved": unmoved.get_status_code(),
    }


def writing() -> dict[str, Any]:
    operations = RecordOperations("Contacts")
    rows = [contact(last=f"Z{i}", email=f"z{i}@x.example") for i in range(99)]
    told = results(
        operations.create_records(body([*rows, contact(email="n@x.example")]))
    )
    made = [r for r in told if r["status"] == "success"]
    change = contact(last="Changed")
    change.set_id(int(made[0]["id"]))
    updated = results(operations.update_records(body([change])))
    again = [contact(last=f"Y{i}", email=f"z{i}@x.example") for i in range(1, 6)]
    again.append(contact(last="New", email="new@x.example"))
    upserted = results(
        operations.upsert_records(body(again, duplicate_check_fields=["Email"]))
    )
    params = ParameterMap()
    for r in made[90:]:
        params.add(DeleteRecordsParam.ids, r["id"])
    deleted = results(operations.delete_records(params))
    asked = ParameterMap()
    asked.add(GetDeletedRecordsParam.type, "all")
    headers = HeaderMap()
    headers.add(
        GetDeletedRecordsHeader.if_modified_since,
        datetime.now(UTC) - timedelta(hours=1),
    )
    gone = operations.get_deleted_records(asked, headers).get_object().get_data()
    return {
        "created": len(made),
        "refused": [r["code"] for r in told if r["status"] == "error"],
        "updated": [r["id"] for r in updated],
        "actions": [r["action"] for r in upserted],
        "deleted": sorted(r["id"] for r in deleted),
        "gone": sorted(str(r.get_id()) for r in gone),
    }


def contact(last: str | None = None, email: str | None = None) -> Any:
    record = Record()
    if last is not None:
        record.add_field_value(Field.Contacts.last_name(), last)
    if email is not None:
        record.add_field_value(Field.Contacts.email(), email)
    return record


def body(records: list[Any], **more: Any) -> Any:
    wrapper = BodyWrapper()
    wrapper.set_data(records)
    wrapper.set_trigger([])
    for name, value in more.items():
        getattr(wrapper, f"set_{name}")(value)
    return wrapper


def results(answer: Any) -> list[dict[str, Any]]:
    found = []
    for row in answer.get_object().get_data():
        details = row.get_details() or {}
        found.append(
            {
                "status": row.get_status().get_value(),
                "code": row.get_code().get_value(),
                "id": str(details.get("id")),
                "action": row.get_action().get_value()
                if getattr(row, "get_action", None) and row.get_action()
                else None,
            }
        )
    return found


def querying() -> dict[str, Any]:
    query = Query()
    query.set_select_query(
        "select Last_Name, Email from Contacts where Email like '%@x.example' limit 200"
    )
    told = CoqlOperations().get_records(query).get_object()
    return {"queried": len(told.get_data()), "more": told.get_info().get_more_records()}


def converting() -> dict[str, Any]:
    lead = Record()
    lead.add_field_value(Field.Leads.last_name(), "Visitor")
    lead.add_field_value(Field.Leads.company(), "Toko Baru")
    (made,) = results(RecordOperations("Leads").create_records(body([lead])))
    request, converter = Conversion(), LeadConverter()
    request.set_data([converter])
    operations = ConvertLeadOperations(int(made["id"]))
    (row,) = operations.convert_lead(request).get_object().get_data()
    return {"lead": made["id"], "converted": row.get_status().get_value()}


def describing() -> dict[str, Any]:
    params = ParameterMap()
    params.add(GetFieldsParam.module, "Contacts")
    fields = FieldsOperations().get_fields(params).get_object().get_fields()
    users = ParameterMap()
    users.add(GetUsersParam.type, "AllUsers")
    told = UsersOperations().get_users(users).get_object().get_users()
    return {"fields": sorted(f.get_api_name() for f in fields), "users": len(told)}


if __name__ == "__main__":
    json.dump(main(**json.load(sys.stdin)), sys.stdout)
