-- Every row belongs to a tenant (one constant until they are built), by a column or by what it points to; a hub id is made with it.
create table meta(name text primary key, value blob not null) without rowid;
create table account(tenant int, connection text, account text not null, primary key(tenant, connection)) without rowid;

-- The rotating token of a connection, sealed; its version is compared before it is swapped.
create table token(tenant int, connection text, version int not null, payload blob not null, primary key(tenant, connection)) without rowid;

-- Names that stand in a row for every record are written once: an account's resource, a job's side.
create table place(id integer primary key, tenant int, account text, resource text, unique(tenant, account, resource));
create table side(id integer primary key, tenant int, job text, name text, unique(tenant, job, name));
-- A hub id is a hash: rows that carried it would be put all over their tables. Things are numbered as they come.
create table thing(id integer primary key, hub blob not null unique);

-- All records that are one thing; at most one live record on each side.
create table link(place int, record text, thing int not null, gone int not null default 0, primary key(place, record)) without rowid;
create index link_thing on link(thing, place);
-- Few are gone: whether one is back is asked of these only.
create index link_gone on link(place, record) where gone=1;

-- What the vendor held when both sides last agreed: one packed row per side and thing.
create table spelling(id integer primary key, tenant int, job text, side text, fields text not null, unique(tenant, job, side, fields));
create table base(thing int not null, side int, packed blob not null, primary key(thing, side)) without rowid;

-- Which records could be one thing: one row per identity set a record fills, an empty mark where it fills none.
-- A mark is the set's number and a keyed hash; pass is the last reading that met the record.
create table identity(side int, record text, mark blob, filled int not null, pass int not null, primary key(side, record, mark)) without rowid;
create index identity_mark on identity(side, mark, filled);

create table cursor(tenant int, job text, side text, feed text, mark text, spelling text not null, at text not null,
  primary key(tenant, job, side, feed)) without rowid;
create table fact(tenant int, job text, side text, name text, value text not null, primary key(tenant, job, side, name)) without rowid;

-- Look again: ids whose change is known and not yet settled. A number never comes again, not even when the box
-- was empty: what a plan has taken from it may be far behind.
create table inbox(n integer primary key autoincrement, tenant int, job text, side text, record text, why text not null, unique(tenant, job, side, record));
-- A record whose link field waits for its target to be linked.
create table waiting(tenant int, job text, side text, record text, account text, resource text, target text,
  primary key(tenant, job, side, record, account, resource, target)) without rowid;
create index waiting_target on waiting(tenant, account, resource, target);

create table conflict(id integer primary key autoincrement, tenant int, job text, kind text, subject blob, run int, opened text, closed text, payload blob);
create unique index conflict_open on conflict(tenant, job, kind, subject) where closed is null;
-- ``about`` those whose settlement ends it; the others only have to do with it.
create table conflict_member(conflict int, side text, record text, about int not null, primary key(conflict, side, record)) without rowid;
create index conflict_record on conflict_member(side, record);

-- What people decided about fields that both sides had changed.
create table decision(tenant int, job text, hub blob, field text, winner text not null, seen text not null, at text not null,
  primary key(tenant, job, hub, field)) without rowid;

-- What was written to fields of linked things a moment ago: a keyed hash of each value. What is held stays.
create table swing(tenant int, job text, hub blob, field text, run int, value blob not null, at text not null, held int not null default 0,
  primary key(tenant, job, hub, field, run)) without rowid;
create index swing_at on swing(tenant, at) where not held;

create table dead_letter(id integer primary key autoincrement, tenant int, job text, side text, record text, hub blob, op text, reason text, fields text,
  change blob, run int, opened text, closed text, payload blob);
create unique index dead_letter_open on dead_letter(tenant, job, side, record) where closed is null;

create table run(id integer primary key autoincrement, tenant int, job text, kind text, started text, ended text, status text, document text);
-- A plan is kept or waiting until it is applied, rejected or replaced: when, and by whom. What only an apply
-- needs goes as its windows do.
create table plan(id text primary key, tenant int, job text, made text, state text not null, decided text, person text,
  document blob not null, needs blob) without rowid;
create index plan_made on plan(tenant, made);
-- Pages that were read and wait to be planned.
create table staged(tenant int, job text, plan text, side text, n int, payload blob not null, primary key(tenant, job, plan, side, n)) without rowid;
-- Windows of changes. Those that are being written, with the seed of their trace ids and the run that writes,
-- are the intents: in a table of their own, because marking a window in its row would write its payload again.
-- One that nobody settled for a week is stripped of its values.
create table window(tenant int, job text, plan text, n int, payload blob not null, stripped int not null, primary key(tenant, job, plan, n)) without rowid;
create table writing(tenant int, job text, plan text, n int, seed blob not null, run int not null, primary key(tenant, job, plan, n)) without rowid;
-- What a vendor gave for writes of such a window that it works on; hubs holds their hub ids, one after the other.
create table ticket(tenant int, job text, plan text, n int, side text, resource text, op text, first blob, ticket text not null, hubs blob not null,
  primary key(tenant, job, plan, n, side, resource, op, first)) without rowid;

-- The records a job is held to while it is a pilot.
create table pilot(tenant int, job text, side text, record text, by text, primary key(tenant, job, side, record, by)) without rowid;

-- Jobs and connections that are paused, and connections whose credentials were refused; who and why are sealed.
create table standing(tenant int, what text, name text, state text not null, since text not null, credentials blob, payload blob not null,
  primary key(tenant, what, name)) without rowid;
-- A hub that runs for months begins and ends many runs; what was never ended is looked for at each beginning.
create index run_ended on run(tenant, ended);

-- What each receiver of notices was told last, and since when it cannot be reached.
create table told(tenant int, receiver text, topic text, subject text, count int not null, primary key(tenant, receiver, topic, subject)) without rowid;
create table untold(tenant int, receiver text, code text not null, since text not null, primary key(tenant, receiver)) without rowid;

-- Fields that were written to records, for an hour, and who else changed them meanwhile, how often.
create table wrote(tenant int, job text, side text, record text, field text, at text not null, primary key(tenant, job, side, record, field)) without rowid;
create index wrote_at on wrote(tenant, at);
create table rival(tenant int, job text, side text, field text, user text, record text, times int not null, at text not null,
  primary key(tenant, job, side, field, user, record)) without rowid;

-- Who was erased, as keyed hashes of identities, of record keys and of records' places. ``names`` are the fields
-- of an identity, empty for the others; ``given`` are those that were asked for, the others were found with them.
-- Identities were hashed under so many earlier keys.
create table erasure(id integer primary key autoincrement, tenant int, entity text not null, at text not null, earlier int not null);
create table tombstone(erasure int, hash blob, names text not null, given int not null, primary key(erasure, hash)) without rowid;

-- What was written and what stood there before: a row per settled window; erased counts writes that were taken out
-- because of who they were about. hubs holds the first bytes of each hub id,
-- so that a record's history is found without opening every row.
create table journal(id integer primary key autoincrement, tenant int, job text, run int, at text not null, left int, right int,
  hubs blob not null, payload blob not null, erased int not null default 0);
create index journal_run on journal(tenant, job, run);
