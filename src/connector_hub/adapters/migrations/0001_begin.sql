-- Tenants are the first column of every table (one constant until they are built).
create table meta(name text primary key, value blob not null) without rowid;
create table account(tenant int, connection text, account text not null, primary key(tenant, connection)) without rowid;

-- All records that are one thing: one hub id; at most one live record on each side.
create table link(tenant int, account text, resource text, record text, hub blob not null, gone int not null default 0,
  primary key(tenant, account, resource, record)) without rowid;
create index link_hub on link(tenant, hub, account, resource);

-- What the vendor held when both sides last agreed: one packed row per (job, side) and hub id.
create table spelling(id integer primary key, tenant int, job text, side text, fields text not null, unique(tenant, job, side, fields));
create table base(tenant int, job text, side text, hub blob, packed blob not null, primary key(tenant, job, side, hub)) without rowid;

-- Which records could be one thing: keyed hashes of identity fields.
create table identity(tenant int, job text, side text, hash blob, record text, filled int not null,
  primary key(tenant, job, side, hash, record)) without rowid;
create table indexed(tenant int, job text, side text, record text, hashes blob not null, pass int not null,
  primary key(tenant, job, side, record)) without rowid;

create table cursor(tenant int, job text, side text, feed text, mark text, spelling text not null, at text not null,
  primary key(tenant, job, side, feed)) without rowid;
create table fact(tenant int, job text, side text, name text, value text not null, primary key(tenant, job, side, name)) without rowid;

-- Look again: ids whose change is known and not yet settled.
create table inbox(tenant int, job text, side text, record text, why text not null, primary key(tenant, job, side, record)) without rowid;
-- A record whose link field waits for its target to be linked.
create table waiting(tenant int, job text, side text, record text, account text, resource text, target text,
  primary key(tenant, job, side, record, account, resource, target)) without rowid;
create index waiting_target on waiting(tenant, account, resource, target);

create table intent(id blob primary key, tenant int, job text not null, hub blob not null, payload blob not null) without rowid;
create index intent_job on intent(tenant, job);

create table conflict(id integer primary key autoincrement, tenant int, job text, kind text, subject blob, run int, opened text, closed text, payload blob);
create unique index conflict_open on conflict(tenant, job, kind, subject) where closed is null;
create table conflict_member(conflict int, side text, record text, primary key(conflict, side, record)) without rowid;
create index conflict_record on conflict_member(side, record);

create table dead_letter(id integer primary key autoincrement, tenant int, job text, record text, hub blob, op text, reason text, fields text,
  change blob, run int, opened text, closed text, payload blob);
create unique index dead_letter_open on dead_letter(tenant, job, record) where closed is null;

create table run(id integer primary key autoincrement, tenant int, job text, kind text, started text, ended text, status text, document text);
create table plan(id text primary key, tenant int, job text, made text, applied text, document blob not null) without rowid;
create table staged(plan text, n int, payload blob not null, primary key(plan, n)) without rowid;
create table window(plan text, n int, payload blob not null, primary key(plan, n)) without rowid;
