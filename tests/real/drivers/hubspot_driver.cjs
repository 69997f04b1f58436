// @hubspot/api-client as a sync would use it: JSON on standard input, one JSON document on standard output.
const { Client } = require("@hubspot/api-client");

async function main({ url, token }) {
  const client = new Client({ accessToken: token, basePath: url, numberOfApiCallRetries: 2 });
  const api = client.crm.contacts;
  const listed = await api.getAll(100, undefined, ["email"]);
  const filters = [{ propertyName: "lastmodifieddate", operator: "GTE", value: "0" }];
  const search = { filterGroups: [{ filters }], sorts: ["lastmodifieddate"], limit: 50, properties: ["email"] };
  const first = await api.searchApi.doSearch(search);
  const second = await api.searchApi.doSearch({ ...search, after: first.paging.next.after });
  const inputs = [...Array(99).keys()].map((i) => ({
    id: `n${i}@x.example`,
    idProperty: "email",
    properties: { lastname: `N${i}` },
    objectWriteTraceId: `t${i}`,
  }));
  inputs.push({ id: "bad@x.example", idProperty: "email", properties: { no_such: "x" }, objectWriteTraceId: "bad" });
  const upserted = await api.batchApi.upsert({ inputs });
  const made = await api.basicApi.create({ properties: { email: "node@x.example" }, associations: [] });
  await api.basicApi.update(made.id, { properties: { jobtitle: "Chief" } });
  const company = (await client.crm.companies.basicApi.getPage(1)).results[0].id;
  await client.crm.associations.v4.basicApi.createDefault("contacts", made.id, "companies", company);
  const held = await client.crm.associations.v4.basicApi.getPage("contacts", made.id, "companies");
  await api.basicApi.archive(upserted.results[0].id);
  const gone = await api.basicApi.getPage(100, undefined, undefined, undefined, undefined, true);
  let clash = 0;
  try {
    await api.basicApi.create({ properties: { email: "node@x.example" }, associations: [] });
  } catch (e) {
    clash = e.code;
  }
  const raw = await client.apiRequest({ method: "GET", path: "/account-info/v3/details" });
  return {
    listed: listed.map((r) => r.id),
    total: first.total,
    searched: new Set([...first.results, ...second.results].map((r) => r.id)).size,
    upserted: upserted.results.length,
    fresh: upserted.results.filter((r) => r._new).length,
    errors: upserted.numErrors,
    traced: upserted.errors.map((e) => e.context.objectWriteTraceId),
    created: made.id,
    company,
    associated: held.results.map((r) => String(r.toObjectId)),
    gone: gone.results.map((r) => r.id),
    archived: upserted.results[0].id,
    clash,
    owners: (await client.crm.owners.ownersApi.getPage()).results.length,
    properties: (await client.crm.properties.coreApi.getAll("contacts")).results.length,
    portal: (await raw.json()).portalId,
  };
}

let said = "";
process.stdin.on("data", (part) => (said += part));
process.stdin.on("end", () =>
  main(JSON.parse(said)).then(
    (found) => process.stdout.write(JSON.stringify(found)),
    (e) => {
      process.stderr.write(`${e.stack}\n${JSON.stringify(e.body ?? null)}\n`);
      process.exit(1);
    },
  ),
);
