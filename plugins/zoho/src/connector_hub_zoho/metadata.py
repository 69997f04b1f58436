"""What a Zoho account says about itself: its modules, fields, layouts, pipelines, users and organization."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from connector_hub_zoho.account import USERS, Rows
from connector_hub_zoho.born import PIPELINE, PROBABILITY
from connector_hub_zoho.modules import FieldKind, Module

ORG = "60011223344"
_LAYOUT = "41508680000055001"
_PROFILE = {"name": "Administrator", "id": "4150868000000026011"}
_ROLE = {"name": "CEO", "id": "4150868000000026005"}
_IN_SECTION = (
    "rename",
    "add_field",
    "remove_field",
    "change_tab_traversal",
    "change_column_count",
    "reorder",
    "delete",
)
_ON_LAYOUT = (
    "edit",
    "rename",
    "clone",
    "downgrade",
    "delete",
    "deactivate",
    "set_layout_permissions",
)
_VIEW = {"type": "layout", "name": "Standard", "id": _LAYOUT}
_WON = {"Closed Won": "closed_won", "Closed Lost": "closed_lost"}


def organization() -> dict[str, Any]:
    """The organization, in Jakarta and in rupiah."""
    return {
        "id": "4150868000000225002",
        "zgid": ORG,
        "company_name": "Zylker Kopi",
        "time_zone": "Asia/Jakarta",
        "currency": "Indonesian Rupiah - IDR",
        "iso_code": "IDR",
        "currency_symbol": "Rp",
        "currency_locale": "id_ID",
        "country_code": "ID",
        "country": "ID",
        "type": "production",
        "mc_status": False,
        "gapps_enabled": False,
        "lite_users_enabled": False,
        "privacy_settings": False,
        "hierarchy_preference": True,
        "max_per_page": 200,
        "domain_name": "org60011223344",
        "primary_email": USERS[0][3],
        "primary_zuid": "60011223300",
        "created_time": "2024-01-01T08:00:00+07:00",
        "license_details": {
            "paid": True,
            "paid_type": "enterprise",
            "paid_expiry": None,
            "trial_type": None,
            "trial_expiry": None,
            "trial_action": None,
            "users_license_purchased": 3,
            "portal_users_license_purchased": 0,
        },
    }


def user(record: str, given: str, family: str, email: str) -> dict[str, Any]:
    """A user as ``/users`` lists one."""
    return {
        "id": record,
        "first_name": given,
        "last_name": family,
        "full_name": f"{given} {family}",
        "email": email,
        "status": "active",
        "confirm": True,
        "role": _ROLE,
        "profile": _PROFILE,
        "locale": "en_US",
        "time_zone": "Asia/Jakarta",
        "offset": 25_200_000,
        "zuid": record[-8:],
        "language": "en_US",
        "country_locale": "en_US",
        "created_time": "2024-01-01T08:00:00+07:00",
        "Modified_Time": "2024-01-01T08:00:00+07:00",
    }


def module_row(module: Module, number: int) -> dict[str, Any]:
    """A module as ``/settings/modules`` lists one."""
    name = module.name
    plain = module.generated != "subform"
    return {
        "api_name": name,
        "module_name": name,
        "plural_label": name.replace("_", " "),
        "singular_label": name.replace("_", " ").removesuffix("s"),
        "api_supported": True,
        "editable": module.writable,
        "creatable": module.writable and plain,
        "deletable": module.writable and plain,
        "viewable": True,
        "visibility": 1,
        "status": "visible",
        "convertable": name == "Leads",
        "quick_create": name in {"Leads", "Contacts", "Accounts"},
        "feeds_required": False,
        "scoring_supported": False,
        "webform_supported": name in {"Leads", "Contacts"},
        "triggers_supported": True,
        "inventory_template_supported": False,
        "emailTemplate_support": False,
        "global_search_supported": plain,
        "filter_supported": plain,
        "presence_sub_menu": plain,
        "private_profile": None,
        "isBlueprintSupported": plain,
        "generated_type": module.generated,
        "modified_by": None,
        "modified_time": None,
        "profiles": [_PROFILE],
        "arguments": [],
        "parent_module": {"api_name": module.parent, "id": _module_id(number)}
        if module.parent
        else {},
        "business_card_field_limit": 5,
        "sequence_number": number + 1,
        "profile_count": 1,
        "web_link": None,
        "id": _module_id(number),
        "public_fields_configured": False,
        "recycle_bin_on_delete": True,
        "has_more_profiles": False,
        "sub_menu_available": plain,
        "description": None,
    }


def _module_id(number: int) -> str:
    return f"41508680000001{number:05}"


def layout(rows: Rows) -> dict[str, Any]:
    """The one layout of a module; in its section stand the fields with what it requires of them."""
    fields = [f.on_layout(n) for n, f in enumerate(rows.module.fields.values())]
    section = {
        "id": "41508680000055100",
        "name": f"{rows.module.name} Information",
        "api_name": f"{rows.module.name}_Information",
        "display_label": f"{rows.module.name} Information",
        "sequence_number": 1,
        "column_count": 2,
        "tab_traversal": "left_to_right",
        "isSubformSection": False,
        "type": "used",
        "generated_type": "default",
        "mode": "view",
        "actions_allowed": dict.fromkeys(_IN_SECTION, True),
        "properties": None,
        "fields": fields,
    }
    return {
        "id": _LAYOUT,
        "name": "Standard",
        "api_name": "Standard__s",
        "display_label": "Standard",
        "status": "active",
        "visible": True,
        "has_more_profiles": False,
        "show_business_card": True,
        "generated_type": "system",
        "created_for": None,
        "created_time": None,
        "created_by": None,
        "modified_time": None,
        "modified_by": None,
        "source": "crm",
        "actions_allowed": dict.fromkeys(_ON_LAYOUT, True),
        "profiles": [
            {
                **_PROFILE,
                "default": True,
                "_default_view": _VIEW,
                "_default_assignment_view": _VIEW,
            }
        ],
        "sections": [section],
    }


def pipeline(stages: FieldKind) -> dict[str, Any]:
    """The one pipeline of deals, with its stages in their order."""
    maps = [
        {
            "id": f"4150868000006{n:06}",
            "display_value": stage,
            "actual_value": stage,
            "sequence_number": n + 1,
            "forecast_type": _forecast(stage),
            "forecast_category": {"name": _category(stage), "id": f"41508680000070{n}"},
            "colour_code": None,
            "delete": False,
        }
        for n, stage in enumerate(stages.options)
    ]
    return {
        "id": "4150868000000065001",
        "display_value": PIPELINE,
        "actual_value": PIPELINE,
        "default": True,
        "child_available": False,
        "parent": None,
        "maps": maps,
    }


def _forecast(stage: str) -> str:
    if PROBABILITY.get(stage) == 100:  # noqa: PLR2004 - won
        return "Closed Won"
    return "Closed Lost" if "Lost" in stage else "Open"


def _category(stage: str) -> str:
    return "Closed" if stage in _WON else "Omitted" if "Lost" in stage else "Pipeline"


def listed(fields: Mapping[str, FieldKind]) -> list[dict[str, Any]]:
    """Fields as ``/settings/fields`` answers them."""
    return [f.row(n) for n, f in enumerate(fields.values())]
