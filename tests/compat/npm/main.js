// The npm client of Consul, against a registry.
//
// In:  the environment: COMPAT_HTTP, the registry's address. Out: a line for each assertion, `ok NAME` or
// `failed NAME -- WHY`, and `version TEXT`; exit code 1 when one failed.
// Never: knows which registry it is; waits without a deadline.
"use strict";

const assert = require("node:assert");
const fs = require("node:fs");
const path = require("node:path");
const { setTimeout: pause } = require("node:timers/promises");
const Consul = require("consul");

// How long what must happen may take, in milliseconds: for a machine that is busy.
const PATIENCE = 30_000;
// How long the whole program may take.
const LIMIT = 120_000;

const [host, port] = process.env.COMPAT_HTTP.split(":");
const consul = new Consul({ host, port: Number(port) });
let failed = false;

const oneLine = (error) => String(error.message ?? error).split(/\s+/).join(" ").slice(0, 500);

async function check(name, test) {
  try {
    await test();
    console.log(`ok ${name}`);
  } catch (error) {
    failed = true;
    console.log(`failed ${name} -- ${oneLine(error)}`);
  }
}

const equal = assert.deepStrictEqual;

async function eventually(test) {
  const end = Date.now() + PATIENCE;
  for (;;) {
    try {
      return await test();
    } catch (error) {
      if (Date.now() > end) throw error;
    }
    await pause(50);
  }
}

async function refused(ask, status) {
  try {
    await ask();
  } catch (error) {
    if (status) equal(error.statusCode, status);
    return;
  }
  throw new Error("it was answered");
}

const passing = async (service) =>
  (await consul.health.service({ service, passing: true })).map((entry) => entry.Service.ID).sort();

async function registration() {
  await check("agent.service.register", () =>
    consul.agent.service.register({
      name: "web",
      id: "web-1",
      address: "10.0.0.1",
      port: 8080,
      tags: ["v1", "blue"],
      meta: { team: "shop" },
      check: { name: "up", ttl: "10m", status: "critical" },
    }),
  );
  await check("agent.service.list gives what was registered", async () => {
    const found = (await consul.agent.service.list())["web-1"];
    equal([found.Service, found.Port, found.Address, found.Tags, found.Meta], ["web", 8080, "10.0.0.1", ["v1", "blue"], { team: "shop" }]);
  });
  await check("agent.service.register of several checks", async () => {
    await consul.agent.service.register({ name: "two", checks: [{ ttl: "10m" }, { http: "http://127.0.0.1:1/", interval: "10m", timeout: "1s" }] });
    equal(Object.values(await consul.agent.check.list()).filter((c) => c.ServiceName === "two").length, 2);
    await consul.agent.service.deregister("two");
  });
  await check("agent.check.pass", () => consul.agent.check.pass({ id: "service:web-1", note: "all well" }));
  await check("health.service has it passing", () => eventually(async () => equal(await passing("web"), ["web-1"])));
  await check("its note is told", () => eventually(async () => equal((await consul.health.checks("web"))[0].Output, "all well")));
  await check("agent.check.warn and fail", async () => {
    for (const [report, status] of [["warn", "warning"], ["fail", "critical"], ["pass", "passing"]]) {
      await consul.agent.check[report]("service:web-1");
      await eventually(async () => equal((await consul.health.checks("web"))[0].Status, status));
    }
  });
  await check("a report for a check that is not there is refused", () => refused(() => consul.agent.check.pass("none")));
  await check("agent.check.register and deregister", async () => {
    await consul.agent.check.register({ name: "deep", id: "deep", serviceid: "web-1", ttl: "10m" });
    await eventually(async () => equal(await passing("web"), []));
    await consul.agent.check.deregister("deep");
    await eventually(async () => equal(await passing("web"), ["web-1"]));
  });
  await check("agent.service.maintenance", async () => {
    await consul.agent.service.maintenance({ id: "web-1", enable: true, reason: "upgrade" });
    await eventually(async () => equal(await passing("web"), []));
    await consul.agent.service.maintenance({ id: "web-1", enable: false });
    await eventually(async () => equal(await passing("web"), ["web-1"]));
  });
  await check("agent.maintenance", async () => {
    await consul.agent.maintenance({ enable: true });
    await eventually(async () => equal(await passing("web"), []));
    await consul.agent.maintenance(false);
    await eventually(async () => equal(await passing("web"), ["web-1"]));
  });
}

async function catalog() {
  await check("catalog.datacenters", async () => equal(await consul.catalog.datacenters(), ["dc1"]));
  await check("catalog.node.list", async () => equal((await consul.catalog.node.list()).map((node) => node.Node), ["compat"]));
  await check("catalog.node.services", async () => equal(Object.keys((await consul.catalog.node.services("compat")).Services).sort(), ["consul", "web-1"]));
  await check("catalog.service.list", async () => equal((await consul.catalog.service.list()).web.sort(), ["blue", "v1"]));
  await check("catalog.service.nodes", async () => equal((await consul.catalog.service.nodes({ service: "web", tag: "blue" })).map((s) => s.ServiceID), ["web-1"]));
  await check("catalog.register and deregister", async () => {
    await consul.catalog.register({ node: "ext", address: "10.9.9.9", service: { service: "old", id: "old-1", port: 1 }, check: { checkid: "c", name: "c", status: "passing", serviceid: "old-1" } });
    equal(await passing("old"), ["old-1"]);
    await consul.catalog.deregister({ node: "ext" });
    equal(await passing("old"), []);
  });
  await check("health.node", async () => equal((await consul.health.node("compat")).length, 2));
  await check("health.state", async () => equal((await consul.health.state("critical")).length, 0));
  await check("another datacenter is refused", () => refused(() => consul.catalog.node.list({ dc: "none" }), 500));
  await check("status.leader and peers", async () => equal(await consul.status.peers(), [await consul.status.leader()]));
  await check("agent.self and members", async () => {
    equal((await consul.agent.self()).Config.NodeName, "compat");
    equal((await consul.agent.members()).map((member) => member.Name), ["compat"]);
  });
}

async function kv() {
  await check("kv.set and get", async () => {
    equal(await consul.kv.set("app/a", "one"), true);
    equal((await consul.kv.get("app/a")).Value, "one");
  });
  await check("kv.set of flags, kv.get of bytes", async () => {
    equal(await consul.kv.set({ key: "app/b", value: Buffer.from([0, 255]), flags: 7 }), true);
    const found = await consul.kv.get({ key: "app/b", buffer: true });
    equal([found.Flags, [...found.Value]], [7, [0, 255]]);
  });
  await check("kv.get raw", async () => equal((await consul.kv.get({ key: "app/a", raw: true })).toString(), "one"));
  await check("kv.get of what is not there is nothing", async () => equal(await consul.kv.get("none"), undefined));
  await check("kv.get recurse", async () => equal((await consul.kv.get({ key: "app/", recurse: true })).map((pair) => pair.Key), ["app/a", "app/b"]));
  await check("kv.keys", async () => equal(await consul.kv.keys({ key: "a", separator: "/" }), ["app/"]));
  await check("kv.set cas", async () => {
    const { ModifyIndex: cas } = await consul.kv.get("app/a");
    equal(Boolean(await consul.kv.set({ key: "app/a", value: "x", cas: 1 })), false);
    equal(await consul.kv.set({ key: "app/a", value: "x", cas }), true);
  });
  await check("transaction.create", async () => {
    const done = await consul.transaction.create([{ KV: { Verb: "set", Key: "txn/a", Value: Buffer.from("t").toString("base64") } }, { KV: { Verb: "get", Key: "txn/a" } }]);
    equal(done.Results.map((result) => result.KV.Key), ["txn/a", "txn/a"]);
  });
  await check("a transaction that fails is a 409", () => refused(() => consul.transaction.create([{ KV: { Verb: "check-index", Key: "txn/a", Index: 1 } }]), 409));
  await check("kv.del", async () => {
    await consul.kv.del("app/a");
    equal(await consul.kv.get("app/a"), undefined);
    await consul.kv.del({ key: "app/", recurse: true });
    equal(await consul.kv.get({ key: "app/", recurse: true }), undefined);
  });
}

async function sessions() {
  await check("session: create, info, node, list, renew, a lock, destroy", async () => {
    const { ID: id } = await consul.session.create({ name: "mine", ttl: "30s", lockdelay: "0s", behavior: "delete" });
    equal((await consul.session.info(id)).Name, "mine");
    equal([(await consul.session.node("compat")).length, (await consul.session.list()).length], [1, 1]);
    equal((await consul.session.renew(id))[0].ID, id);
    equal(await consul.kv.set({ key: "lock", value: "x", acquire: id }), true);
    equal((await consul.kv.get("lock")).Session, id);
    await consul.session.destroy(id);
    equal(await consul.kv.get("lock"), undefined);
  });
  await check("event.fire and list", async () => {
    const { ID: id } = await consul.event.fire({ name: "deploy", payload: "v2", service: "web" });
    await eventually(async () => equal((await consul.event.list("deploy")).map((event) => [event.ID, event.Payload]), [[id, "v2"]]));
  });
}

/** A watch shows what is there, and what comes once the change is made; `seen` says which data that is. */
async function watched(name, method, options, change, seen) {
  await check(`watch of ${name}`, async () => {
    const watch = consul.watch({ method, options: { wait: "30s", ...options } });
    try {
      await new Promise((resolve, reject) => {
        let isFirst = true;
        setTimeout(() => reject(new Error("the change was not seen in time")), PATIENCE).unref();
        watch.on("error", reject);
        watch.on("change", (data) => {
          if (isFirst) {
            isFirst = false;
            Promise.resolve(change()).catch(reject);
          }
          if (seen(data)) resolve();
        });
      });
    } finally {
      watch.end();
    }
  });
}

async function watches() {
  await consul.kv.set("w/key", "before");
  await watched("a key", consul.kv.get, { key: "w/key" }, () => consul.kv.set("w/key", "after"), (pair) => pair.Value === "after");
  await watched("a service's health", consul.health.service, { service: "web", passing: true }, () => consul.agent.check.fail("service:web-1"), (found) => found.length === 0);
  await watched("the services", consul.catalog.service.list, {}, () => consul.agent.service.register({ name: "late" }), (all) => "late" in all);
  await watched("the nodes", consul.catalog.node.list, {}, () => consul.catalog.register({ node: "second", address: "10.0.0.2" }), (all) => all.length === 2);
}

async function queries() {
  await check("query: create, get, execute, destroy", async () => {
    await consul.agent.check.pass("service:web-1");
    await eventually(async () => equal(await passing("web"), ["web-1"]));
    const { ID: id } = await consul.query.create({ name: "web-query", service: { service: "web", onlypassing: true } });
    equal((await consul.query.get(id)).Name, "web-query");
    equal((await consul.query.execute("web-query")).Nodes.map((node) => node.Service.ID), ["web-1"]);
    await consul.query.destroy(id);
    equal(await consul.query.list(), []);
  });
  await check("agent.service.deregister", async () => {
    await consul.agent.service.deregister("web-1");
    await eventually(async () => equal(await consul.catalog.service.nodes("web"), []));
  });
  // A Consul that keeps nothing on disk forgets at a reload what was registered: so it comes last.
  await check("agent.reload", () => consul.agent.reload());
}

async function main() {
  const { version } = JSON.parse(fs.readFileSync(path.join(__dirname, "node_modules/consul/package.json"), "utf8"));
  console.log(`version ${version}`);
  setTimeout(() => {
    console.log(`failed the program -- it was not over after ${LIMIT} ms`);
    process.exit(1);
  }, LIMIT).unref();
  for (const part of [registration, catalog, kv, sessions, watches, queries]) await part();
  process.exit(failed ? 1 : 0);
}

main().catch((error) => {
  console.log(`failed the program -- ${oneLine(error)}`);
  process.exit(1);
});
