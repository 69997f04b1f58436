// jsforce as a sync would use it: JSON on standard input, one JSON document on standard output.
const jsforce = require("jsforce");

const KEY = "Connector_Hub_Id__c";

async function main({ url, token, app }) {
  const conn = new jsforce.Connection({ instanceUrl: url, accessToken: token, version: "66.0" });
  const soql = "SELECT Id, LastName, Account.Name FROM Contact";
  const all = await conn.query(soql, { autoFetch: true, maxFetch: 10000 });
  const one = await conn.sobject("Contact").create({ LastName: "Ó Súilleabháin" });
  await conn.sobject("Contact").update({ Id: one.id, Title: "Chief" });
  const rows = [...Array(200).keys()].map((i) => ({ LastName: `J${i}`, [KEY]: `j-${i}` }));
  rows[7].LastName = "";
  const upserted = await conn.sobject("Contact").upsert(rows, KEY, { allOrNone: false });
  const described = await conn.sobject("Contact").describe();
  const gone = await conn.sobject("Contact").destroy(upserted.filter((r) => r.success).slice(0, 50).map((r) => r.id));
  return {
    all: all.records.length,
    ids: new Set(all.records.map((r) => r.Id)).size,
    one: one.id,
    upserted: upserted.filter((r) => r.success && r.created).length,
    refused: upserted.flatMap((r) => r.errors ?? []).map((e) => e.statusCode),
    fields: described.fields.length,
    gone: gone.filter((r) => r.success).length,
    bin: (await conn.query("SELECT Id FROM Contact WHERE IsDeleted = true", { scanAll: true })).totalSize,
    limit: (await conn.limits()).DailyApiRequests.Max,
    bulk: await bulk(conn),
    refreshed: await refreshed(url, app),
  };
}

async function bulk(conn) {
  const input = [...Array(300).keys()].map((i) => ({ LastName: `B${i}`, [KEY]: `b-${i}` }));
  input[3].LastName = "";
  conn.bulk2.pollInterval = 50;
  conn.bulk2.pollTimeout = 60000;
  const told = await conn.bulk2.loadAndWaitForResults({
    object: "Contact",
    operation: "upsert",
    externalIdFieldName: KEY,
    input,
    pollTimeout: 60000,
    pollInterval: 50,
  });
  const stream = await conn.bulk2.query(`SELECT Id, LastName FROM Contact WHERE ${KEY} LIKE 'b-%'`);
  const rows = await stream.toArray();
  return {
    successful: told.successfulResults.length,
    failed: told.failedResults.map((r) => r.sf__Error),
    unprocessed: told.unprocessedRecords.length,
    queried: rows.length,
  };
}

async function refreshed(url, app) {
  const conn = new jsforce.Connection({
    oauth2: { loginUrl: url, clientId: app.client_id, clientSecret: app.client_secret, redirectUri: "http://127.0.0.1/" },
    instanceUrl: url,
    accessToken: "expired",
    refreshToken: app.refresh_token,
    version: "66.0",
  });
  let minted = 0;
  conn.on("refresh", () => (minted += 1));
  const found = await conn.query("SELECT Id FROM Account LIMIT 1");
  return { minted, found: found.records.length, fresh: conn.accessToken !== "expired" };
}

let said = "";
process.stdin.on("data", (part) => (said += part));
process.stdin.on("end", () =>
  main(JSON.parse(said)).then(
    (found) => process.stdout.write(JSON.stringify(found)),
    (e) => {
      process.stderr.write(`${e.stack}\n`);
      process.exit(1);
    },
  ),
);
