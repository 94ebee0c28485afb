// The Java clients of Consul, against a registry: com.orbitz.consul:consul-client, and com.ecwid.consul:consul-api, on which
// Spring Cloud Consul stands.
//
// In:  the environment: COMPAT_HTTP, the registry's address. Out: a line for each assertion, `ok NAME` or
// `failed NAME -- WHY`, and `version TEXT`; exit code 1 when one failed.
// Never: knows which registry it is; waits without a deadline.

import com.ecwid.consul.v1.ConsulClient;
import com.ecwid.consul.v1.QueryParams;
import com.ecwid.consul.v1.agent.model.NewCheck;
import com.ecwid.consul.v1.agent.model.NewService;
import com.ecwid.consul.v1.event.model.EventParams;
import com.ecwid.consul.v1.health.HealthServicesRequest;
import com.ecwid.consul.v1.kv.model.PutParams;
import com.ecwid.consul.v1.session.model.NewSession;
import com.google.common.net.HostAndPort;
import com.orbitz.consul.Consul;
import com.orbitz.consul.ConsulException;
import com.orbitz.consul.NotRegisteredException;
import com.orbitz.consul.cache.KVCache;
import com.orbitz.consul.cache.ServiceHealthCache;
import com.orbitz.consul.model.State;
import com.orbitz.consul.model.agent.ImmutableRegCheck;
import com.orbitz.consul.model.agent.ImmutableRegistration;
import com.orbitz.consul.model.catalog.ImmutableCatalogDeregistration;
import com.orbitz.consul.model.catalog.ImmutableCatalogRegistration;
import com.orbitz.consul.model.health.ImmutableService;
import com.orbitz.consul.model.kv.ImmutableOperation;
import com.orbitz.consul.model.session.ImmutableSession;
import com.orbitz.consul.option.ImmutableDeleteOptions;
import com.orbitz.consul.option.ImmutablePutOptions;
import com.orbitz.consul.option.ImmutableQueryOptions;
import java.math.BigInteger;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

public class Main {
    /** How long what must happen may take: for a machine that is busy. */
    static final long PATIENCE = 30;
    /** How long the whole program may take. */
    static final long LIMIT = 240;

    static boolean failed = false;

    interface Test {
        void run() throws Exception;
    }

    static void check(String name, Test test) {
        try {
            test.run();
            System.out.println("ok " + name);
        } catch (Throwable error) {
            failed = true;
            System.out.println("failed " + name + " -- " + error.toString().replaceAll("\\s+", " "));
        }
    }

    static void equal(Object got, Object want) {
        if (!Objects.equals(got, want)) throw new AssertionError(got + ", not " + want);
    }

    static void eventually(Test test) throws Exception {
        long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(PATIENCE);
        while (true) {
            try {
                test.run();
                return;
            } catch (Exception | AssertionError error) {
                if (System.nanoTime() > end) throw error;
            }
            Thread.sleep(50);
        }
    }

    static void refused(Class<? extends Exception> how, Callable<?> ask) throws Exception {
        Object answer;
        try {
            answer = ask.call();
        } catch (Exception error) {
            if (how.isInstance(error)) return;
            throw error;
        }
        throw new AssertionError("it was answered: " + answer);
    }

    /** The version in the name of the archive that a class came from. */
    static String versionOf(Class<?> type) {
        String place = type.getProtectionDomain().getCodeSource().getLocation().getPath();
        Matcher found = Pattern.compile("([a-z-]+)-([0-9.]+)\\.jar$").matcher(place);
        return found.find() ? found.group(1) + " " + found.group(2) : "unknown";
    }

    public static void main(String[] words) {
        System.out.println("version " + versionOf(Consul.class) + ", " + versionOf(ConsulClient.class));
        Thread guard = new Thread(() -> {
            try {
                TimeUnit.SECONDS.sleep(LIMIT);
            } catch (InterruptedException ended) {
                return;
            }
            System.out.println("failed the program -- it was not over after " + LIMIT + " s");
            Runtime.getRuntime().halt(1);
        });
        guard.setDaemon(true);
        guard.start();
        String[] address = System.getenv("COMPAT_HTTP").split(":");
        int port = Integer.parseInt(address[1]);
        Consul consul = Consul.builder().withHostAndPort(HostAndPort.fromParts(address[0], port)).withReadTimeoutMillis(60_000).build();
        Orbitz.run(consul);
        Ecwid.run(new ConsulClient(address[0], port));
        System.out.flush();
        Runtime.getRuntime().halt(failed ? 1 : 0);
    }

    static class Orbitz {
        static List<String> passing(Consul consul, String service) {
            return consul.healthClient().getHealthyServiceInstances(service).getResponse().stream()
                    .map(found -> found.getService().getId()).sorted().collect(Collectors.toList());
        }

        static void run(Consul consul) {
            agent(consul);
            catalog(consul);
            keys(consul);
            caches(consul);
            check("consul-client: deregister", () -> {
                consul.agentClient().deregister("web-1");
                eventually(() -> equal(consul.catalogClient().getService("web").getResponse(), List.of()));
            });
            consul.destroy();
        }

        static void agent(Consul consul) {
            var agent = consul.agentClient();
            check("consul-client: ping", agent::ping);
            check("consul-client: register", () -> agent.register(ImmutableRegistration.builder()
                    .id("web-1").name("web").address("10.0.0.1").port(8080).addTags("v1", "blue").putMeta("team", "shop")
                    .check(ImmutableRegCheck.builder().ttl("600s").status("critical").build())
                    .build()));
            check("consul-client: isRegistered", () -> equal(agent.isRegistered("web-1"), true));
            check("consul-client: getService, with its hash", () -> {
                var found = agent.getService("web-1", ImmutableQueryOptions.builder().build()).getResponse();
                equal(List.of(found.getService(), found.getPort(), found.getAddress(), found.getTags(), found.getMeta()),
                        List.of("web", 8080, "10.0.0.1", List.of("v1", "blue"), Map.of("team", "shop")));
            });
            check("consul-client: getService of one that is not there",
                    () -> refused(NotRegisteredException.class, () -> agent.getService("none", ImmutableQueryOptions.builder().build())));
            check("consul-client: pass", () -> agent.pass("web-1", "all well"));
            check("consul-client: getHealthyServiceInstances", () -> eventually(() -> equal(passing(consul, "web"), List.of("web-1"))));
            check("consul-client: warn, fail, pass", () -> {
                agent.warn("web-1");
                agent.fail("web-1");
                eventually(() -> equal(passing(consul, "web"), List.of()));
                agent.pass("web-1");
                eventually(() -> equal(passing(consul, "web"), List.of("web-1")));
            });
            check("consul-client: pass of a check that is not there", () -> refused(NotRegisteredException.class, () -> {
                agent.pass("none");
                return "taken";
            }));
            check("consul-client: registerCheck, deregisterCheck", () -> {
                agent.registerCheck("own", "own", 600);
                equal(agent.getChecks().containsKey("own"), true);
                agent.deregisterCheck("own");
                equal(agent.getChecks().containsKey("own"), false);
            });
            check("consul-client: toggleMaintenanceMode", () -> {
                agent.toggleMaintenanceMode("web-1", true, "upgrade");
                eventually(() -> equal(passing(consul, "web"), List.of()));
                agent.toggleMaintenanceMode("web-1", false);
                eventually(() -> equal(passing(consul, "web"), List.of("web-1")));
            });
            check("consul-client: getAgent, getMembers", () -> {
                equal(agent.getAgent().getConfig().getNodeName(), "compat");
                equal(agent.getMembers().size(), 1);
            });
        }

        static void catalog(Consul consul) {
            var catalog = consul.catalogClient();
            check("consul-client: getDatacenters", () -> equal(catalog.getDatacenters(), List.of("dc1")));
            check("consul-client: getNodes", () -> equal(catalog.getNodes().getResponse().get(0).getNode(), "compat"));
            check("consul-client: getServices", () -> equal(catalog.getServices().getResponse().keySet().contains("web"), true));
            check("consul-client: getNode", () -> equal(catalog.getNode("compat").getResponse().getServices().containsKey("web-1"), true));
            check("consul-client: register and deregister in the catalogue", () -> {
                catalog.register(ImmutableCatalogRegistration.builder().node("ext").address("10.9.9.9")
                        .service(ImmutableService.builder().id("old-1").service("old").port(1).address("").build()).build());
                equal(catalog.getService("old").getResponse().size(), 1);
                catalog.deregister(ImmutableCatalogDeregistration.builder().node("ext").build());
                equal(catalog.getService("old").getResponse().size(), 0);
            });
            check("consul-client: checks by node, service and state", () -> {
                var health = consul.healthClient();
                equal(health.getNodeChecks("compat").getResponse().size(), 2);
                equal(health.getServiceChecks("web").getResponse().size(), 1);
                equal(health.getChecksByState(State.FAIL).getResponse().size(), 0);
            });
            check("consul-client: the index, the leader and the age", () -> {
                var answer = consul.healthClient().getAllServiceInstances("web");
                equal(List.of(answer.getIndex().compareTo(BigInteger.ZERO) > 0, answer.isKnownLeader(), answer.getLastContact()), List.of(true, true, 0L));
            });
            check("consul-client: a wait ends with a change", () -> {
                var index = consul.healthClient().getHealthyServiceInstances("web").getIndex();
                var wait = CompletableFuture.supplyAsync(() -> consul.healthClient()
                        .getHealthyServiceInstances("web", ImmutableQueryOptions.builder().wait("30s").index(index).build()));
                Thread.sleep(200);
                consul.agentClient().fail("web-1");
                equal(wait.get(PATIENCE, TimeUnit.SECONDS).getResponse().size(), 0);
                consul.agentClient().pass("web-1");
                eventually(() -> equal(passing(consul, "web"), List.of("web-1")));
            });
            check("consul-client: another datacenter is refused",
                    () -> refused(ConsulException.class, () -> catalog.getNodes(ImmutableQueryOptions.builder().datacenter("none").build())));
            check("consul-client: getLeader, getPeers", () -> {
                var status = consul.statusClient();
                equal(status.getPeers(), List.of(status.getLeader()));
            });
        }

        static void keys(Consul consul) {
            var kv = consul.keyValueClient();
            check("consul-client: putValue, getValueAsString", () -> {
                equal(kv.putValue("app/a", "one", 7L), true);
                equal(kv.getValueAsString("app/a").get(), "one");
                equal(kv.getValue("app/a").get().getFlags(), 7L);
                equal(kv.getValue("none").isPresent(), false);
            });
            check("consul-client: getKeys, getValues", () -> {
                kv.putValue("app/sub/b", "two");
                equal(kv.getKeys("app/"), List.of("app/a", "app/sub/b"));
                equal(kv.getKeys("app/", "/"), List.of("app/a", "app/sub/"));
                equal(kv.getValuesAsString("app/"), List.of("one", "two"));
            });
            check("consul-client: compare and set, compare and delete", () -> {
                long index = kv.getValue("app/a").get().getModifyIndex();
                equal(kv.putValue("app/a", "x", 0L, ImmutablePutOptions.builder().cas(1L).build()), false);
                equal(kv.putValue("app/a", "x", 0L, ImmutablePutOptions.builder().cas(index).build()), true);
                kv.deleteKey("app/a", ImmutableDeleteOptions.builder().cas(index).build());
                equal(kv.getValue("app/a").isPresent(), true);
            });
            check("consul-client: performTransaction", () -> {
                var done = kv.performTransaction(
                        ImmutableOperation.builder().verb("set").key("txn/a").value("dA==").build(),
                        ImmutableOperation.builder().verb("get").key("txn/a").build());
                equal(done.getResponse().results().size(), 2);
            });
            check("consul-client: a session and its lock", () -> {
                var sessions = consul.sessionClient();
                String mine = sessions.createSession(ImmutableSession.builder().name("mine").ttl("30s").lockDelay("0s").build()).getId();
                String other = sessions.createSession(ImmutableSession.builder().name("other").build()).getId();
                equal(kv.acquireLock("lock", "x", mine), true);
                equal(kv.acquireLock("lock", other), false);
                equal(kv.getSession("lock").get(), mine);
                equal(sessions.renewSession(mine).isPresent(), true);
                equal(sessions.listSessions().size(), 2);
                equal(kv.releaseLock("lock", mine), true);
                sessions.destroySession(mine);
                sessions.destroySession(other);
                equal(sessions.getSessionInfo(mine).isPresent(), false);
            });
            check("consul-client: fireEvent, listEvents", () -> {
                String id = consul.eventClient().fireEvent("deploy", "v2").getId();
                eventually(() -> equal(consul.eventClient().listEvents("deploy").getEvents().get(0).getId(), id));
            });
            check("consul-client: deleteKeys", () -> {
                kv.deleteKeys("app");
                equal(kv.getKeys("app/"), List.of());
            });
        }

        static void caches(Consul consul) {
            check("consul-client: ServiceHealthCache follows", () -> {
                try (var cache = ServiceHealthCache.newCache(consul.healthClient(), "web")) {
                    cache.start();
                    equal(cache.awaitInitialized(PATIENCE, TimeUnit.SECONDS), true);
                    equal(cache.getMap().size(), 1);
                    consul.agentClient().fail("web-1");
                    eventually(() -> equal(cache.getMap().size(), 0));
                    consul.agentClient().pass("web-1");
                    eventually(() -> equal(cache.getMap().size(), 1));
                }
            });
            check("consul-client: KVCache follows", () -> {
                try (var cache = KVCache.newCache(consul.keyValueClient(), "followed/")) {
                    cache.start();
                    equal(cache.awaitInitialized(PATIENCE, TimeUnit.SECONDS), true);
                    consul.keyValueClient().putValue("followed/a", "one");
                    eventually(() -> equal(cache.getMap().get("a").getValueAsString().get(), "one"));
                    consul.keyValueClient().putValue("followed/a", "two");
                    eventually(() -> equal(cache.getMap().get("a").getValueAsString().get(), "two"));
                }
            });
        }
    }

    static class Ecwid {
        static List<String> passing(ConsulClient consul, String service) {
            var request = HealthServicesRequest.newBuilder().setPassing(true).setQueryParams(QueryParams.DEFAULT).build();
            return consul.getHealthServices(service, request).getValue().stream()
                    .map(found -> found.getService().getId()).sorted().collect(Collectors.toList());
        }

        static void run(ConsulClient consul) {
            check("consul-api: agentServiceRegister", () -> {
                var service = new NewService();
                service.setId("api-1");
                service.setName("api");
                service.setAddress("10.0.0.1");
                service.setPort(8080);
                service.setTags(List.of("v1", "blue"));
                service.setMeta(Map.of("team", "shop"));
                service.setEnableTagOverride(true);
                var check = new NewService.Check();
                check.setTtl("600s");
                check.setStatus("critical");
                service.setCheck(check);
                consul.agentServiceRegister(service);
                var found = consul.getAgentServices().getValue().get("api-1");
                equal(List.of(found.getService(), found.getPort(), found.getTags(), found.getMeta()), List.of("api", 8080, List.of("v1", "blue"), Map.of("team", "shop")));
            });
            check("consul-api: a check by HTTP, as Spring registers it", () -> {
                var service = new NewService();
                service.setId("spring-1");
                service.setName("spring");
                service.setPort(8081);
                var check = new NewService.Check();
                check.setHttp("http://127.0.0.1:1/actuator/health");
                check.setInterval("10m");
                check.setTimeout("1s");
                check.setDeregisterCriticalServiceAfter("1h");
                check.setHeader(Map.of("X-A", List.of("b")));
                check.setTlsSkipVerify(true);
                service.setCheck(check);
                consul.agentServiceRegister(service);
                equal(passing(consul, "spring"), List.of());
                consul.agentServiceDeregister("spring-1");
            });
            check("consul-api: agentCheckPass", () -> {
                consul.agentCheckPass("service:api-1", "all well");
                eventually(() -> equal(passing(consul, "api"), List.of("api-1")));
            });
            check("consul-api: agentCheckWarn and agentCheckFail", () -> {
                consul.agentCheckWarn("service:api-1");
                consul.agentCheckFail("service:api-1", "ill");
                eventually(() -> equal(consul.getHealthChecksForService("api", QueryParams.DEFAULT).getValue().get(0).getOutput(), "ill"));
                consul.agentCheckPass("service:api-1");
                eventually(() -> equal(passing(consul, "api"), List.of("api-1")));
            });
            check("consul-api: agentCheckRegister and agentCheckDeregister", () -> {
                var own = new NewCheck();
                own.setId("own");
                own.setName("own");
                own.setTtl("600s");
                consul.agentCheckRegister(own);
                equal(consul.getAgentChecks().getValue().containsKey("own"), true);
                consul.agentCheckDeregister("own");
                equal(consul.getAgentChecks().getValue().containsKey("own"), false);
            });
            check("consul-api: agentServiceSetMaintenance", () -> {
                consul.agentServiceSetMaintenance("api-1", true, "upgrade");
                eventually(() -> equal(passing(consul, "api"), List.of()));
                consul.agentServiceSetMaintenance("api-1", false);
                eventually(() -> equal(passing(consul, "api"), List.of("api-1")));
            });
            check("consul-api: getAgentSelf and getAgentMembers", () -> {
                equal(consul.getAgentSelf().getValue().getConfig().getDatacenter(), "dc1");
                equal(consul.getAgentMembers().getValue().get(0).getName(), "compat");
            });
            check("consul-api: the catalogue", () -> {
                equal(consul.getCatalogDatacenters().getValue(), List.of("dc1"));
                equal(consul.getCatalogNodes(QueryParams.DEFAULT).getValue().get(0).getNode(), "compat");
                equal(consul.getCatalogServices(QueryParams.DEFAULT).getValue().containsKey("api"), true);
                equal(consul.getCatalogService("api", "blue", QueryParams.DEFAULT).getValue().get(0).getServiceId(), "api-1");
            });
            check("consul-api: a wait ends with a change, as Spring watches", () -> {
                var before = consul.getCatalogServices(QueryParams.DEFAULT);
                var wait = CompletableFuture.supplyAsync(() -> consul.getCatalogServices(new QueryParams(30, before.getConsulIndex())));
                Thread.sleep(200);
                var late = new NewService();
                late.setName("late");
                consul.agentServiceRegister(late);
                equal(wait.get(PATIENCE, TimeUnit.SECONDS).getConsulIndex() > before.getConsulIndex(), true);
                consul.agentServiceDeregister("late");
            });
            check("consul-api: keys", () -> {
                equal(consul.setKVValue("config/app/a", "one").getValue(), true);
                equal(consul.getKVValue("config/app/a").getValue().getDecodedValue(), "one");
                equal(consul.getKVValue("none").getValue(), null);
                equal(consul.getKVValues("config/app").getValue().size(), 1);
                equal(consul.getKVKeysOnly("config/").getValue(), List.of("config/app/a"));
                var cas = new PutParams();
                cas.setCas(1L);
                equal(consul.setKVValue("config/app/a", "x", cas).getValue(), false);
                consul.deleteKVValues("config/");
                equal(consul.getKVValues("config/").getValue(), null);
            });
            check("consul-api: sessions", () -> {
                var session = new NewSession();
                session.setName("mine");
                session.setLockDelay(0);
                String id = consul.sessionCreate(session, QueryParams.DEFAULT).getValue();
                var acquire = new PutParams();
                acquire.setAcquireSession(id);
                equal(consul.setKVValue("lock", "x", acquire).getValue(), true);
                equal(consul.getSessionInfo(id, QueryParams.DEFAULT).getValue().getName(), "mine");
                equal(consul.getSessionList(QueryParams.DEFAULT).getValue().size(), 1);
                consul.sessionDestroy(id, QueryParams.DEFAULT);
            });
            check("consul-api: events", () -> {
                String id = consul.eventFire("api", "v2", new EventParams(), QueryParams.DEFAULT).getValue().getId();
                eventually(() -> equal(consul.eventList("api", QueryParams.DEFAULT).getValue().get(0).getId(), id));
            });
            check("consul-api: agentServiceDeregister", () -> {
                consul.agentServiceDeregister("api-1");
                eventually(() -> equal(passing(consul, "api"), List.of()));
            });
            check("consul-api: status", () -> equal(consul.getStatusPeers().getValue(), List.of(consul.getStatusLeader().getValue())));
        }
    }
}
