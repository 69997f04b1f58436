"""The fields of the sandbox's objects, as Salesforce's describe calls tell them.

Lengths and types: Object Reference for the Salesforce Platform.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from connector_hub_salesforce.ids import PREFIXES

_SOAP = {
    "id": "tns:ID",
    "reference": "tns:ID",
    "boolean": "xsd:boolean",
    "int": "xsd:int",
    "double": "xsd:double",
    "currency": "xsd:double",
    "percent": "xsd:double",
    "date": "xsd:date",
    "datetime": "xsd:dateTime",
    "address": "urn:address",
}
NUMBERS = frozenset({"int", "double", "currency", "percent"})
TEXTS = frozenset(
    {
        "string",
        "textarea",
        "email",
        "phone",
        "url",
        "picklist",
        "multipicklist",
    }
)
COMPOUND = frozenset({"address", "location"})
"""Made of other fields; read only, and not in CSV."""
LONG_TEXT = 32_000


@dataclass(frozen=True, slots=True)
class Field:
    """A field. ``relationship`` is the name that leads to the record it points to."""

    name: str
    label: str
    type: str = "string"
    length: int = 0
    nillable: bool = True
    createable: bool = True
    updateable: bool = True
    defaulted: bool = False
    options: tuple[str, ...] = ()
    restricted: bool = False
    refers_to: str = ""
    relationship: str = ""
    unique: bool = False
    external: bool = False
    id_lookup: bool = False

    also_refers: tuple[str, ...] = ()
    """Further objects a polymorphic lookup may point to."""
    default: str | None = None
    """The option of a record that is made without one."""
    compound: str = ""
    """The compound field it is a part of."""

    @property
    def targets(self) -> tuple[str, ...]:
        """Objects it may point to."""
        return (self.refers_to, *self.also_refers) if self.refers_to else ()

    @property
    def filterable(self) -> bool:
        """Long texts cannot be filtered or ordered by."""
        return self.type not in COMPOUND and not (
            self.type == "textarea" and self.length >= LONG_TEXT
        )

    def row(self) -> dict[str, Any]:
        """The field in a describe answer."""
        return {
            "name": self.name,
            "label": self.label,
            "type": self.type,
            "soapType": _SOAP.get(self.type, "xsd:string"),
            "length": self.length,
            "byteLength": self.length * 3,
            "precision": 18 if self.type in NUMBERS else 0,
            "scale": 0,
            "digits": 0,
            "nillable": self.nillable,
            "createable": self.createable,
            "updateable": self.updateable,
            "defaultedOnCreate": self.defaulted or self.default is not None,
            "calculated": False,
            "custom": self.name.endswith("__c"),
            "externalId": self.external,
            "idLookup": self.id_lookup or self.external or self.type == "id",
            "unique": self.unique,
            "caseSensitive": False,
            "filterable": self.filterable,
            "sortable": self.filterable,
            "groupable": self.filterable,
            "permissionable": self.name.endswith("__c"),
            "restrictedPicklist": self.restricted,
            "picklistValues": [
                {
                    "active": True,
                    "defaultValue": o == self.default,
                    "label": o,
                    "validFor": None,
                    "value": o,
                }
                for o in self.options
            ],
            "referenceTo": list(self.targets),
            "relationshipName": self.relationship or None,
            "compoundFieldName": self.compound or None,
        }


@dataclass(slots=True)
class Kind:
    """An object: its fields by name. Names do not heed case."""

    name: str
    label: str
    plural: str
    fields: dict[str, Field]
    writable: bool = True
    lower: dict[str, Field] = field(default_factory=dict)
    relations: dict[str, Field] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for f in self.fields.values():
            self._index(f)

    def add(self, f: Field) -> None:
        """A custom field."""
        self.fields[f.name] = f
        self._index(f)

    def remove(self, f: Field) -> None:
        """A field that nobody sees any more."""
        del self.fields[f.name]
        del self.lower[f.name.lower()]
        self.relations.pop(f.relationship.lower(), None)

    def _index(self, f: Field) -> None:
        self.lower[f.name.lower()] = f
        if f.relationship:
            self.relations[f.relationship.lower()] = f

    @property
    def prefix(self) -> str:
        """The first three characters of its ids."""
        return PREFIXES.get(self.name, "a00")

    @property
    def required(self) -> tuple[str, ...]:
        """Fields a record may not be without."""
        return tuple(
            f.name
            for f in self.fields.values()
            if not f.nillable and f.createable and not (f.defaulted or f.default)
        )

    @property
    def uniques(self) -> tuple[str, ...]:
        """Fields whose values may be held once only."""
        return tuple(f.name for f in self.fields.values() if f.unique)

    def summary(self, base: str) -> dict[str, Any]:
        """The object in the global describe; ``base`` is the path of the version."""
        at = f"{base}/sobjects/{self.name}"
        return {
            "name": self.name,
            "label": self.label,
            "labelPlural": self.plural,
            "keyPrefix": self.prefix,
            "custom": self.name.endswith("__c"),
            "createable": self.writable,
            "updateable": self.writable,
            "deletable": self.writable,
            "queryable": True,
            "retrieveable": True,
            "replicateable": True,
            "searchable": True,
            "urls": {
                "sobject": at,
                "describe": f"{at}/describe",
                "rowTemplate": f"{at}/{{ID}}",
            },
        }


def system(name: str, label: str, kind: str, **more: Any) -> Field:
    """A field that only Salesforce writes."""
    return Field(
        name,
        label,
        kind,
        length=18 if kind in {"id", "reference"} else 0,
        nillable=more.pop("nillable", False),
        createable=False,
        updateable=False,
        defaulted=True,
        **more,
    )


def audited() -> list[Field]:
    """Who owns a record, who wrote it, and when."""
    user: dict[str, Any] = {"refers_to": "User"}
    return [
        Field(
            "OwnerId",
            "Owner ID",
            "reference",
            18,
            nillable=False,
            defaulted=True,
            refers_to="User",
            relationship="Owner",
        ),
        system("CreatedDate", "Created Date", "datetime"),
        system(
            "CreatedById",
            "Created By ID",
            "reference",
            relationship="CreatedBy",
            **user,
        ),
        system("LastModifiedDate", "Last Modified Date", "datetime"),
        system(
            "LastModifiedById",
            "Last Modified By ID",
            "reference",
            relationship="LastModifiedBy",
            **user,
        ),
        system("SystemModstamp", "System Modstamp", "datetime"),
    ]


def born(kind: str, label: str) -> list[Field]:
    """What every record has."""
    return [
        system("Id", f"{label} ID", "id"),
        system("IsDeleted", "Deleted", "boolean"),
        system(
            "MasterRecordId",
            "Master Record ID",
            "reference",
            nillable=True,
            refers_to=kind,
            relationship="MasterRecord",
        ),
    ]


def _texts(rows: Iterable[tuple[str, str, str, int]]) -> list[Field]:
    return [Field(name, label, kind, length) for name, label, kind, length in rows]


PARTS = ("Street", "City", "State", "PostalCode", "Country")
"""Of an address."""


def _address(prefix: str) -> list[Field]:
    parts = _texts(
        (
            (f"{prefix}Street", f"{prefix} Street", "textarea", 255),
            (f"{prefix}City", f"{prefix} City", "string", 40),
            (f"{prefix}State", f"{prefix} State/Province", "string", 80),
            (f"{prefix}PostalCode", f"{prefix} Zip/Postal Code", "string", 20),
            (f"{prefix}Country", f"{prefix} Country", "string", 80),
        )
    )
    whole = f"{prefix}Address"
    made = Field(whole, whole, "address", createable=False, updateable=False)
    return [*(replace(f, compound=whole) for f in parts), made]


def _kind(
    name: str, plural: str, fields: list[Field], *, writable: bool = True
) -> Kind:
    return Kind(name, name, plural, {f.name: f for f in fields}, writable)


def contact() -> Kind:
    """Contact: a person; ``Name`` is made of the others."""
    return _kind(
        "Contact",
        "Contacts",
        [
            *born("Contact", "Contact"),
            Field(
                "AccountId",
                "Account ID",
                "reference",
                18,
                refers_to="Account",
                relationship="Account",
            ),
            Field("LastName", "Last Name", "string", 80, nillable=False),
            Field("FirstName", "First Name", "string", 40),
            Field(
                "Salutation",
                "Salutation",
                "picklist",
                40,
                options=("Mr.", "Ms.", "Mrs.", "Dr.", "Prof.", "Mx."),
            ),
            Field(
                "Name",
                "Full Name",
                "string",
                121,
                nillable=False,
                createable=False,
                updateable=False,
            ),
            Field("Email", "Email", "email", 80, id_lookup=True),
            *_texts(
                (
                    ("Phone", "Business Phone", "phone", 40),
                    ("Fax", "Business Fax", "phone", 40),
                    ("MobilePhone", "Mobile Phone", "phone", 40),
                    ("HomePhone", "Home Phone", "phone", 40),
                    ("Title", "Title", "string", 128),
                    ("Department", "Department", "string", 80),
                    ("AssistantName", "Assistant's Name", "string", 40),
                    ("Description", "Contact Description", "textarea", LONG_TEXT),
                )
            ),
            *_address("Mailing"),
            *_address("Other"),
            Field("Birthdate", "Birthdate", "date"),
            Field(
                "LeadSource",
                "Lead Source",
                "picklist",
                255,
                options=("Web", "Phone Inquiry", "Partner Referral", "Other"),
            ),
            Field(
                "ReportsToId",
                "Reports To ID",
                "reference",
                18,
                refers_to="Contact",
                relationship="ReportsTo",
            ),
            Field(
                "HasOptedOutOfEmail",
                "Email Opt Out",
                "boolean",
                nillable=False,
                defaulted=True,
            ),
            Field(
                "DoNotCall", "Do Not Call", "boolean", nillable=False, defaulted=True
            ),
            *audited(),
        ],
    )


def account() -> Kind:
    """Account: a company."""
    return _kind(
        "Account",
        "Accounts",
        [
            *born("Account", "Account"),
            Field("Name", "Account Name", "string", 255, nillable=False),
            Field(
                "Type",
                "Account Type",
                "picklist",
                255,
                options=(
                    "Prospect",
                    "Customer - Direct",
                    "Customer - Channel",
                    "Channel Partner / Reseller",
                    "Installation Partner",
                    "Technology Partner",
                    "Other",
                ),
            ),
            Field(
                "ParentId",
                "Parent Account ID",
                "reference",
                18,
                refers_to="Account",
                relationship="Parent",
            ),
            *_texts(
                (
                    ("Phone", "Account Phone", "phone", 40),
                    ("Fax", "Account Fax", "phone", 40),
                    ("AccountNumber", "Account Number", "string", 40),
                    ("Website", "Website", "url", 255),
                    ("Site", "Account Site", "string", 80),
                    ("Sic", "SIC Code", "string", 20),
                    ("Description", "Account Description", "textarea", LONG_TEXT),
                )
            ),
            *_address("Billing"),
            *_address("Shipping"),
            Field(
                "Industry",
                "Industry",
                "picklist",
                255,
                options=("Agriculture", "Banking", "Retail", "Technology", "Other"),
            ),
            Field(
                "Rating",
                "Account Rating",
                "picklist",
                255,
                options=("Hot", "Warm", "Cold"),
            ),
            Field("AnnualRevenue", "Annual Revenue", "currency"),
            Field("NumberOfEmployees", "Employees", "int"),
            *audited(),
        ],
    )


def lead() -> Kind:
    """Lead: a person who may become a contact; a converted one is history and cannot be changed."""
    converted = [
        system(f"Converted{to}Id", f"Converted {to} ID", "reference", nillable=True)
        for to in ("Contact", "Account", "Opportunity")
    ]
    return _kind(
        "Lead",
        "Leads",
        [
            *born("Lead", "Lead"),
            Field("LastName", "Last Name", "string", 80, nillable=False),
            Field("FirstName", "First Name", "string", 40),
            Field("Salutation", "Salutation", "picklist", 40),
            Field(
                "Name",
                "Full Name",
                "string",
                121,
                nillable=False,
                createable=False,
                updateable=False,
            ),
            Field("Company", "Company", "string", 255, nillable=False),
            Field("Email", "Email", "email", 80, id_lookup=True),
            *_texts(
                (
                    ("Phone", "Phone", "phone", 40),
                    ("MobilePhone", "Mobile Phone", "phone", 40),
                    ("Title", "Title", "string", 128),
                    ("Website", "Website", "url", 255),
                    ("Description", "Description", "textarea", LONG_TEXT),
                )
            ),
            *_address(""),
            Field(
                "Status",
                "Status",
                "picklist",
                255,
                nillable=False,
                default=LEAD_STATUSES[0],
                options=LEAD_STATUSES,
            ),
            Field(
                "LeadSource",
                "Lead Source",
                "picklist",
                255,
                options=("Web", "Phone Inquiry", "Partner Referral", "Other"),
            ),
            system("IsConverted", "Converted", "boolean"),
            system("ConvertedDate", "Converted Date", "date", nillable=True),
            *converted,
            *audited(),
        ],
    )


LEAD_STATUSES = (
    "Open - Not Contacted",
    "Working - Contacted",
    "Closed - Converted",
    "Closed - Not Converted",
)
"""Those of a new org; the first is the default, the third the one of conversion."""


def user() -> Kind:
    """User: who makes changes; read only here."""
    return _kind(
        "User",
        "Users",
        [
            system("Id", "User ID", "id"),
            Field("Username", "Username", "string", 80, nillable=False),
            Field("Name", "Full Name", "string", 121, nillable=False),
            Field("Email", "Email", "email", 128, nillable=False),
            system("IsActive", "Active", "boolean"),
            Field("UserType", "User Type", "picklist", 40, options=("Standard",)),
            system("SystemModstamp", "System Modstamp", "datetime"),
        ],
        writable=False,
    )


def organization() -> Kind:
    """Organization: the one record of the account itself; read only."""
    return _kind(
        "Organization",
        "Organizations",
        [
            system("Id", "Organization ID", "id"),
            Field("Name", "Name", "string", 80, nillable=False),
            Field("TimeZoneSidKey", "Time Zone", "picklist", 40),
            Field("LanguageLocaleKey", "Language", "picklist", 40),
            Field("OrganizationType", "Edition", "picklist", 40),
            Field("InstanceName", "Instance Name", "string", 5),
            system("IsSandbox", "Is Sandbox", "boolean"),
            system("SystemModstamp", "System Modstamp", "datetime"),
        ],
        writable=False,
    )


def lookup(
    name: str, label: str, to: str, *others: str, nillable: bool = False, **more: Any
) -> Field:
    """A field that points to another record, of one object or of several."""
    return Field(
        name,
        label,
        "reference",
        18,
        nillable=nillable,
        refers_to=to,
        also_refers=others,
        relationship=f"{name.removesuffix('__c')}__r"
        if name.endswith("__c")
        else name.removesuffix("Id"),
        **more,
    )


def permissions() -> tuple[Kind, Kind, Kind]:
    """Permission sets, what they grant on fields, and to whom (Object Reference)."""
    flag: dict[str, Any] = {"type": "boolean", "nillable": False, "defaulted": True}
    stamp = system("SystemModstamp", "System Modstamp", "datetime")
    return (
        _kind(
            "PermissionSet",
            "Permission Sets",
            [
                system("Id", "Permission Set ID", "id"),
                Field("Name", "Name", "string", 80, nillable=False, unique=True),
                Field("Label", "Label", "string", 80, nillable=False),
                Field("Description", "Description", "string", 255),
                stamp,
            ],
        ),
        _kind(
            "FieldPermissions",
            "Field Permissions",
            [
                system("Id", "Field Permissions ID", "id"),
                lookup("ParentId", "Parent ID", "PermissionSet"),
                Field("SobjectType", "Object", "string", 80, nillable=False),
                Field("Field", "Field", "string", 255, nillable=False),
                Field("PermissionsRead", "Read", **flag),
                Field("PermissionsEdit", "Edit", **flag),
                stamp,
            ],
        ),
        _kind(
            "PermissionSetAssignment",
            "Permission Set Assignments",
            [
                system("Id", "Assignment ID", "id"),
                lookup("AssigneeId", "Assignee ID", "User"),
                lookup("PermissionSetId", "Permission Set ID", "PermissionSet"),
                stamp,
            ],
        ),
    )


def custom(name: str, metadata: Mapping[str, Any]) -> Field:
    """A field of the Metadata API (``CustomField``).

    Raises:
        ValueError: it is of a type the sandbox does not have.
    """
    kinds = {
        "Text": "string",
        "Email": "email",
        "Phone": "phone",
        "Url": "url",
        "TextArea": "textarea",
        "Number": "double",
        "Currency": "currency",
        "Percent": "percent",
        "Checkbox": "boolean",
        "Date": "date",
        "DateTime": "datetime",
        "Picklist": "picklist",
        "MultiselectPicklist": "multipicklist",
    }
    kind = kinds.get(str(metadata.get("type")))
    if kind is None:
        raise ValueError(str(metadata.get("type")))
    values = metadata.get("valueSet") or {}
    listed = (values.get("valueSetDefinition") or {}).get("value") or ()
    return Field(
        name,
        str(metadata.get("label") or name),
        kind,
        int(metadata.get("length") or (255 if kind in TEXTS else 0)),
        nillable=kind != "boolean" and not metadata.get("required"),
        defaulted=kind == "boolean",
        options=tuple(str(v.get("fullName")) for v in listed),
        restricted=bool(values.get("restricted")),
        unique=bool(metadata.get("unique")),
        external=bool(metadata.get("externalId")),
    )
