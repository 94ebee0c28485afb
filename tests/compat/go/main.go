// Consul's Go API client, against a registry.
//
// In:  the environment: COMPAT_HTTP, the registry's address. Out: a line for each assertion, `ok NAME` or
// `failed NAME -- WHY`, and `version TEXT`; exit code 1 when one failed.
// Never: knows which registry it is; waits without a deadline.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"runtime/debug"
	"sort"
	"strings"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/hashicorp/consul/api/watch"
)

// How long what must happen may take: for a machine that is busy.
const patience = 30 * time.Second

// How long the whole program may take.
const limit = 240 * time.Second

var (
	address = os.Getenv("COMPAT_HTTP")
	client  *api.Client
	failed  bool
)

// check runs a test; its error, or its panic, is the failure.
func check(name string, test func() error) {
	err := func() (err error) {
		defer func() {
			if broken := recover(); broken != nil {
				err = fmt.Errorf("panic: %v", broken)
			}
		}()
		return test()
	}()
	if err == nil {
		fmt.Println("ok", name)
		return
	}
	failed = true
	fmt.Printf("failed %s -- %s\n", name, strings.Join(strings.Fields(err.Error()), " "))
}

func equal(got, want any) error {
	if reflect.DeepEqual(got, want) {
		return nil
	}
	return fmt.Errorf("%#v, not %#v", got, want)
}

// eventually runs a test until it holds.
func eventually(test func() error) error {
	end := time.Now().Add(patience)
	for {
		err := test()
		if err == nil || time.Now().After(end) {
			return err
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// within gives what arrives, or an error once it is late.
func within[T any](arrives <-chan T) (T, error) {
	select {
	case it := <-arrives:
		return it, nil
	case <-time.After(patience):
		var none T
		return none, errors.New("nothing came in time")
	}
}

func passing(name string) ([]string, error) {
	entries, _, err := client.Health().Service(name, "", true, nil)
	ids := []string{}
	for _, entry := range entries {
		ids = append(ids, entry.Service.ID)
	}
	sort.Strings(ids)
	return ids, err
}

func hasPassing(name string, want ...string) error {
	return eventually(func() error {
		ids, err := passing(name)
		if err != nil {
			return err
		}
		return equal(ids, append([]string{}, want...))
	})
}

func registration() {
	agent := client.Agent()
	check("ServiceRegister", func() error {
		return agent.ServiceRegister(&api.AgentServiceRegistration{
			ID: "web-1", Name: "web", Port: 8080, Address: "10.0.0.1", Tags: []string{"v1", "blue"},
			Meta:              map[string]string{"team": "shop"},
			TaggedAddresses:   map[string]api.ServiceAddress{"lan": {Address: "10.0.0.1", Port: 8080}},
			Weights:           &api.AgentWeights{Passing: 3, Warning: 1},
			EnableTagOverride: true,
			Check: &api.AgentServiceCheck{
				CheckID: "web-up", Name: "up", TTL: "10m", Status: api.HealthCritical, Notes: "by hand",
				DeregisterCriticalServiceAfter: "1h",
			},
		})
	})
	check("Service gives what was registered", func() error {
		service, meta, err := agent.Service("web-1", nil)
		if err != nil {
			return err
		}
		if meta.LastContentHash == "" || service.ContentHash != meta.LastContentHash {
			return fmt.Errorf("hashes %q and %q", service.ContentHash, meta.LastContentHash)
		}
		got := []any{service.Port, service.Address, service.Tags, service.Meta, service.Weights, service.EnableTagOverride, service.TaggedAddresses["lan"].Port}
		return equal(got, []any{8080, "10.0.0.1", []string{"v1", "blue"}, map[string]string{"team": "shop"}, api.AgentWeights{Passing: 3, Warning: 1}, true, 8080})
	})
	check("Service by its hash wakes at a change", func() error {
		service, _, err := agent.Service("web-1", nil)
		if err != nil {
			return err
		}
		changed := make(chan error, 1)
		go func() {
			after, _, err := agent.Service("web-1", &api.QueryOptions{WaitHash: service.ContentHash, WaitTime: patience})
			if err == nil {
				err = equal(after.Port, 8081)
			}
			changed <- err
		}()
		time.Sleep(200 * time.Millisecond)
		again := &api.AgentServiceRegistration{ID: "web-1", Name: "web", Port: 8081, Address: "10.0.0.1", Tags: []string{"v1", "blue"}}
		if err := agent.ServiceRegister(again); err != nil {
			return err
		}
		err, late := within(changed)
		return errors.Join(err, late)
	})
	check("ServiceRegisterOpts replaces checks", func() error {
		with := func(id string) error {
			return agent.ServiceRegisterOpts(&api.AgentServiceRegistration{
				ID: "two-1", Name: "two", Check: &api.AgentServiceCheck{CheckID: id, TTL: "10m", Status: api.HealthPassing},
			}, api.ServiceRegisterOpts{ReplaceExistingChecks: true})
		}
		if err := errors.Join(with("first"), with("second")); err != nil {
			return err
		}
		checks, err := agent.ChecksWithFilter(`ServiceID == "two-1"`)
		if err != nil || len(checks) != 1 || checks["second"] == nil {
			return fmt.Errorf("%v, %v", checks, err)
		}
		return agent.ServiceDeregister("two-1")
	})
	check("ServicesWithFilter", func() error {
		services, err := agent.ServicesWithFilter(`blue in Tags and Port > 1`)
		if err == nil {
			return errors.New("a number is compared with >, which the language does not have")
		}
		services, err = agent.ServicesWithFilter(`blue in Tags and Port == 8081`)
		if err != nil {
			return err
		}
		return equal(len(services), 1)
	})
	check("a sidecar is registered with its service", func() error {
		err := agent.ServiceRegister(&api.AgentServiceRegistration{
			ID: "mesh-1", Name: "mesh", Port: 1,
			Connect: &api.AgentServiceConnect{SidecarService: &api.AgentServiceRegistration{Port: 21000}},
		})
		if err != nil {
			return err
		}
		sidecar, _, err := agent.Service("mesh-1-sidecar-proxy", nil)
		if err != nil {
			return err
		}
		if err := equal([]any{sidecar.Kind, sidecar.Port, sidecar.Proxy.DestinationServiceName}, []any{api.ServiceKindConnectProxy, 21000, "mesh"}); err != nil {
			return err
		}
		if err := agent.ServiceDeregister("mesh-1"); err != nil {
			return err
		}
		return eventually(func() error {
			all, err := agent.Services()
			if err != nil {
				return err
			}
			return equal(all["mesh-1-sidecar-proxy"] == nil, true)
		})
	})
	check("one that is not there is a 404", func() error {
		_, _, err := agent.Service("none", nil)
		var status api.StatusError
		if !errors.As(err, &status) {
			return fmt.Errorf("%v", err)
		}
		return equal(status.Code, 404)
	})
}

func checks() {
	agent := client.Agent()
	check("UpdateTTL", func() error { return agent.UpdateTTL("web-up", "all well", api.HealthPassing) })
	check("Health().Service has it passing", func() error { return hasPassing("web", "web-1") })
	check("its output is told", func() error {
		return eventually(func() error {
			all, _, err := client.Health().Checks("web", nil)
			if err != nil || len(all) != 1 {
				return fmt.Errorf("%v, %v", all, err)
			}
			return equal([]string{all[0].CheckID, all[0].Name, all[0].Output, all[0].Type}, []string{"web-up", "up", "all well", "ttl"})
		})
	})
	check("WarnTTL, FailTTL and PassTTL", func() error {
		for _, step := range []struct {
			report func(string, string) error
			status string
		}{{agent.WarnTTL, api.HealthWarning}, {agent.FailTTL, api.HealthCritical}, {agent.PassTTL, api.HealthPassing}} {
			if err := step.report("web-up", "note"); err != nil {
				return err
			}
			err := eventually(func() error {
				status, _, err := agent.AgentHealthServiceByID("web-1")
				if err != nil {
					return err
				}
				return equal(status, step.status)
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	check("AgentHealthServiceByName", func() error {
		status, infos, err := agent.AgentHealthServiceByName("web")
		if err != nil {
			return err
		}
		return equal([]any{status, len(infos)}, []any{api.HealthPassing, 1})
	})
	check("AgentHealthServiceByName of one that is not there", func() error {
		status, infos, err := agent.AgentHealthServiceByName("none")
		if err != nil {
			return err
		}
		return equal([]any{status, len(infos)}, []any{api.HealthCritical, 0})
	})
	check("UpdateTTL of a check that is not there is refused", func() error {
		if agent.UpdateTTL("none", "", api.HealthPassing) == nil {
			return errors.New("it was taken")
		}
		return nil
	})
	check("CheckRegister and CheckDeregister", func() error {
		err := agent.CheckRegister(&api.AgentCheckRegistration{
			ID: "deep", Name: "deep", ServiceID: "web-1", AgentServiceCheck: api.AgentServiceCheck{TTL: "10m", Status: api.HealthWarning},
		})
		if err != nil {
			return err
		}
		if err := hasPassing("web"); err != nil {
			return err
		}
		if err := agent.CheckDeregister("deep"); err != nil {
			return err
		}
		return hasPassing("web", "web-1")
	})
	check("an alias follows", func() error {
		err := agent.ServiceRegister(&api.AgentServiceRegistration{
			Name: "shadow", Check: &api.AgentServiceCheck{CheckID: "alias", AliasService: "web-1"},
		})
		if err != nil {
			return err
		}
		is := func(status string) error {
			return eventually(func() error {
				all, err := agent.Checks()
				if err != nil || all["alias"] == nil {
					return fmt.Errorf("%v, %v", all, err)
				}
				return equal(all["alias"].Status, status)
			})
		}
		if err := is(api.HealthPassing); err != nil {
			return err
		}
		if err := agent.FailTTL("web-up", ""); err != nil {
			return err
		}
		if err := is(api.HealthCritical); err != nil {
			return err
		}
		return errors.Join(agent.PassTTL("web-up", ""), agent.ServiceDeregister("shadow"))
	})
	check("EnableServiceMaintenance", func() error {
		if err := agent.EnableServiceMaintenance("web-1", "upgrade"); err != nil {
			return err
		}
		if err := hasPassing("web"); err != nil {
			return err
		}
		all, _, err := client.Health().Checks("web", nil)
		if err != nil {
			return err
		}
		if err := equal(all.AggregatedStatus(), api.HealthMaint); err != nil {
			return err
		}
		if err := agent.DisableServiceMaintenance("web-1"); err != nil {
			return err
		}
		return hasPassing("web", "web-1")
	})
	check("EnableNodeMaintenance", func() error {
		if err := agent.EnableNodeMaintenance("moving"); err != nil {
			return err
		}
		if err := hasPassing("web"); err != nil {
			return err
		}
		if err := agent.DisableNodeMaintenance(); err != nil {
			return err
		}
		return hasPassing("web", "web-1")
	})
}

func catalog() {
	check("Catalog().Datacenters", func() error {
		all, err := client.Catalog().Datacenters()
		if err != nil {
			return err
		}
		return equal(all, []string{"dc1"})
	})
	check("Catalog().Nodes", func() error {
		nodes, meta, err := client.Catalog().Nodes(nil)
		if err != nil {
			return err
		}
		return equal([]any{len(nodes), nodes[0].Node, meta.KnownLeader, meta.LastIndex > 0}, []any{1, "compat", true, true})
	})
	check("Catalog().Services", func() error {
		all, _, err := client.Catalog().Services(nil)
		if err != nil {
			return err
		}
		tags := all["web"]
		sort.Strings(tags)
		return equal(tags, []string{"blue", "v1"})
	})
	check("Catalog().ServiceMultipleTags", func() error {
		found, _, err := client.Catalog().ServiceMultipleTags("web", []string{"v1", "blue"}, nil)
		if err != nil {
			return err
		}
		none, _, err := client.Catalog().ServiceMultipleTags("web", []string{"v1", "red"}, nil)
		return errors.Join(err, equal([]int{len(found), len(none)}, []int{1, 0}))
	})
	check("Catalog().Node and NodeServiceList", func() error {
		node, _, err := client.Catalog().Node("compat", nil)
		if err != nil {
			return err
		}
		list, _, err := client.Catalog().NodeServiceList("compat", nil)
		if err != nil {
			return err
		}
		return equal([]any{len(node.Services), len(list.Services)}, []any{2, 2})
	})
	check("Catalog().Node of one that is not there is nothing", func() error {
		node, _, err := client.Catalog().Node("none", nil)
		if err != nil || node != nil {
			return fmt.Errorf("%v, %v", node, err)
		}
		return nil
	})
	check("Catalog().Register and Deregister", func() error {
		_, err := client.Catalog().Register(&api.CatalogRegistration{
			Node: "ext", Address: "10.9.9.9", NodeMeta: map[string]string{"external-node": "true"},
			Service: &api.AgentService{ID: "old-1", Service: "old", Port: 1},
			Checks:  api.HealthChecks{{Node: "ext", CheckID: "c", Name: "c", Status: api.HealthPassing, ServiceID: "old-1"}},
		}, nil)
		if err != nil {
			return err
		}
		if err := hasPassing("old", "old-1"); err != nil {
			return err
		}
		nodes, _, err := client.Catalog().Nodes(&api.QueryOptions{NodeMeta: map[string]string{"external-node": "true"}})
		if err != nil || len(nodes) != 1 {
			return fmt.Errorf("%v, %v", nodes, err)
		}
		if _, err := client.Catalog().Deregister(&api.CatalogDeregistration{Node: "ext"}, nil); err != nil {
			return err
		}
		return hasPassing("old")
	})
	check("Health().Node and State", func() error {
		of, _, err := client.Health().Node("compat", nil)
		if err != nil {
			return err
		}
		any, _, err := client.Health().State(api.HealthAny, nil)
		if err != nil {
			return err
		}
		return equal([]int{len(of), len(any)}, []int{2, 2})
	})
	check("Health().Service with a filter, near, stale and consistent", func() error {
		for _, options := range []*api.QueryOptions{
			{Filter: `Service.Port == 8081 and Checks.Status == "passing"`}, {Near: "_agent"}, {AllowStale: true}, {RequireConsistent: true}, {UseCache: true, MaxAge: time.Minute},
		} {
			found, _, err := client.Health().Service("web", "blue", true, options)
			if err != nil || len(found) != 1 {
				return fmt.Errorf("%+v: %v, %v", options, found, err)
			}
		}
		return nil
	})
	check("a filter that does not parse is refused", func() error {
		if _, _, err := client.Health().Service("web", "", false, &api.QueryOptions{Filter: "x =="}); err == nil {
			return errors.New("it was taken")
		}
		return nil
	})
	check("another datacenter is refused", func() error {
		_, _, err := client.Catalog().Nodes(&api.QueryOptions{Datacenter: "none"})
		if err == nil || !strings.Contains(err.Error(), "No path to datacenter") {
			return fmt.Errorf("%v", err)
		}
		return nil
	})
	check("Status().Leader and Peers", func() error {
		leader, err := client.Status().Leader()
		if err != nil {
			return err
		}
		peers, err := client.Status().Peers()
		return errors.Join(err, equal(peers, []string{leader}))
	})
	check("Agent().Self, NodeName and Members", func() error {
		self, err := client.Agent().Self()
		if err != nil {
			return err
		}
		name, err := client.Agent().NodeName()
		if err != nil {
			return err
		}
		members, err := client.Agent().Members(false)
		if err != nil {
			return err
		}
		return equal([]any{self["Config"]["Datacenter"], name, len(members), members[0].Tags["role"], members[0].Tags["dc"]}, []any{"dc1", "compat", 1, "consul", "dc1"})
	})
	check("Agent().MembersOpts of all segments", func() error {
		members, err := client.Agent().MembersOpts(api.MembersOpts{Segment: api.AllSegments})
		return errors.Join(err, equal(len(members), 1))
	})
}

func blocking() {
	// waits starts a wait, makes the change, and gives how the wait ended.
	waits := func(wait func(uint64) error, index uint64, change func() error) error {
		ended := make(chan error, 1)
		go func() { ended <- wait(index) }()
		time.Sleep(200 * time.Millisecond)
		if err := change(); err != nil {
			return err
		}
		err, late := within(ended)
		return errors.Join(err, late)
	}
	options := func(index uint64) *api.QueryOptions {
		return &api.QueryOptions{WaitIndex: index, WaitTime: patience}
	}
	check("Catalog().Services waits for a service", func() error {
		_, meta, err := client.Catalog().Services(nil)
		if err != nil {
			return err
		}
		return waits(func(index uint64) error {
			for {
				all, meta, err := client.Catalog().Services(options(index))
				if err != nil || all["late"] != nil {
					return err
				}
				index = meta.LastIndex
			}
		}, meta.LastIndex, func() error {
			return client.Agent().ServiceRegister(&api.AgentServiceRegistration{Name: "late", Tags: []string{"t"}})
		})
	})
	check("Catalog().Service waits for an instance", func() error {
		_, meta, err := client.Catalog().Service("late", "", nil)
		if err != nil {
			return err
		}
		return waits(func(index uint64) error {
			found, after, err := client.Catalog().Service("late", "", options(index))
			if err == nil && after.LastIndex <= index {
				err = fmt.Errorf("index %d after %d", after.LastIndex, index)
			}
			return errors.Join(err, equal(len(found), 2))
		}, meta.LastIndex, func() error {
			return client.Agent().ServiceRegister(&api.AgentServiceRegistration{ID: "late-2", Name: "late", Tags: []string{"t"}})
		})
	})
	check("Health().Service waits for health", func() error {
		_, meta, err := client.Health().Service("web", "", true, nil)
		if err != nil {
			return err
		}
		return waits(func(index uint64) error {
			found, _, err := client.Health().Service("web", "", true, options(index))
			return errors.Join(err, equal(len(found), 0))
		}, meta.LastIndex, func() error { return client.Agent().FailTTL("web-up", "") })
	})
	check("a wait ends with its time", func() error {
		if err := client.Agent().PassTTL("web-up", ""); err != nil {
			return err
		}
		if err := hasPassing("web", "web-1"); err != nil {
			return err
		}
		_, meta, err := client.KV().List("nothing/there", nil)
		if err != nil {
			return err
		}
		began := time.Now()
		found, _, err := client.KV().List("nothing/there", &api.QueryOptions{WaitIndex: meta.LastIndex, WaitTime: time.Second})
		if took := time.Since(began); took < 900*time.Millisecond {
			return fmt.Errorf("over after %s", took)
		}
		return errors.Join(err, equal(len(found), 0))
	})
	check("KV().Get waits for a key that comes", func() error {
		_, meta, err := client.KV().Get("late/key", nil)
		if err != nil {
			return err
		}
		return waits(func(index uint64) error {
			for {
				pair, meta, err := client.KV().Get("late/key", options(index))
				if err != nil {
					return err
				}
				if pair != nil {
					return equal(string(pair.Value), "here")
				}
				index = meta.LastIndex
			}
		}, meta.LastIndex, func() error {
			_, err := client.KV().Put(&api.KVPair{Key: "late/key", Value: []byte("here")}, nil)
			return err
		})
	})
}

func kv() {
	kv := client.KV()
	check("KV().Put and Get", func() error {
		if _, err := kv.Put(&api.KVPair{Key: "app/a", Value: []byte{0, 255}, Flags: 1<<64 - 1}, nil); err != nil {
			return err
		}
		pair, meta, err := kv.Get("app/a", nil)
		if err != nil {
			return err
		}
		return equal([]any{pair.Value, pair.Flags, pair.ModifyIndex, pair.LockIndex}, []any{[]byte{0, 255}, uint64(1<<64 - 1), meta.LastIndex, uint64(0)})
	})
	check("KV().Get of what is not there is nothing", func() error {
		pair, _, err := kv.Get("none", nil)
		if err != nil || pair != nil {
			return fmt.Errorf("%v, %v", pair, err)
		}
		return nil
	})
	check("KV().List and Keys", func() error {
		for _, key := range []string{"app/b", "app/sub/c", "app/ä b?&"} {
			if _, err := kv.Put(&api.KVPair{Key: key, Value: []byte("x")}, nil); err != nil {
				return err
			}
		}
		pairs, _, err := kv.List("app/", nil)
		if err != nil {
			return err
		}
		keys, _, err := kv.Keys("app/", "/", nil)
		return errors.Join(err, equal(len(pairs), 4), equal(keys, []string{"app/a", "app/b", "app/sub/", "app/ä b?&"}))
	})
	check("KV().CAS and DeleteCAS", func() error {
		pair, _, err := kv.Get("app/b", nil)
		if err != nil {
			return err
		}
		answers := []bool{}
		for _, index := range []uint64{0, 1, pair.ModifyIndex} {
			done, _, err := kv.CAS(&api.KVPair{Key: "app/b", Value: []byte("y"), ModifyIndex: index}, nil)
			if err != nil {
				return err
			}
			answers = append(answers, done)
		}
		done, _, err := kv.DeleteCAS(&api.KVPair{Key: "app/b", ModifyIndex: pair.ModifyIndex}, nil)
		return errors.Join(err, equal(append(answers, done), []bool{false, false, true, false}))
	})
	check("Txn with keys, all or nothing", func() error {
		set := func(key string) *api.TxnOp {
			return &api.TxnOp{KV: &api.KVTxnOp{Verb: api.KVSet, Key: key, Value: []byte("t")}}
		}
		done, answer, _, err := client.Txn().Txn(api.TxnOps{set("txn/a"), set("txn/b"), {KV: &api.KVTxnOp{Verb: api.KVGetTree, Key: "txn/"}}}, nil)
		if err != nil || !done || len(answer.Results) != 4 || string(answer.Results[2].KV.Value) != "t" {
			return fmt.Errorf("%v, %+v, %v", done, answer, err)
		}
		done, answer, _, err = client.Txn().Txn(api.TxnOps{set("txn/c"), {KV: &api.KVTxnOp{Verb: api.KVCheckIndex, Key: "txn/a", Index: 1}}}, nil)
		if err != nil {
			return err
		}
		pair, _, err := kv.Get("txn/c", nil)
		return errors.Join(err, equal([]any{done, len(answer.Errors), answer.Errors[0].OpIndex, pair == nil}, []any{false, 1, 1, true}))
	})
	check("Txn with a node and a service", func() error {
		done, answer, _, err := client.Txn().Txn(api.TxnOps{
			{Node: &api.NodeTxnOp{Verb: api.NodeSet, Node: api.Node{Node: "by-txn", Address: "10.8.8.8"}}},
			{Service: &api.ServiceTxnOp{Verb: api.ServiceSet, Node: "by-txn", Service: api.AgentService{ID: "s", Service: "by-txn", Port: 1}}},
		}, nil)
		if err != nil || !done {
			return fmt.Errorf("%+v, %v", answer, err)
		}
		found, _, err := client.Catalog().Service("by-txn", "", nil)
		if err != nil || len(found) != 1 {
			return fmt.Errorf("%v, %v", found, err)
		}
		_, err = client.Catalog().Deregister(&api.CatalogDeregistration{Node: "by-txn"}, nil)
		return err
	})
	check("KV().DeleteTree", func() error {
		if _, err := kv.DeleteTree("app/", nil); err != nil {
			return err
		}
		pairs, _, err := kv.List("app/", nil)
		return errors.Join(err, equal(len(pairs), 0))
	})
}

func sessions() {
	session := client.Session()
	check("Session().Create, Info, Renew, Node, List, Destroy", func() error {
		id, _, err := session.Create(&api.SessionEntry{Name: "mine", TTL: "30s", Behavior: api.SessionBehaviorDelete, LockDelay: time.Millisecond}, nil)
		if err != nil {
			return err
		}
		info, _, err := session.Info(id, nil)
		if err != nil {
			return err
		}
		renewed, _, err := session.Renew(id, nil)
		if err != nil {
			return err
		}
		of, _, err := session.Node("compat", nil)
		if err != nil {
			return err
		}
		all, _, err := session.List(nil)
		if err != nil {
			return err
		}
		if _, err := session.Destroy(id, nil); err != nil {
			return err
		}
		gone, _, err := session.Info(id, nil)
		return errors.Join(err, equal(
			[]any{info.Name, info.TTL, info.Behavior, info.LockDelay, info.Node, renewed.ID == id, len(of), len(all), gone == nil},
			[]any{"mine", "30s", "delete", time.Millisecond, "compat", true, 1, 1, true}))
	})
	check("Session().RenewPeriodic ends with the session", func() error {
		id, _, err := session.CreateNoChecks(&api.SessionEntry{TTL: "10s"}, nil)
		if err != nil {
			return err
		}
		done := make(chan struct{})
		ended := make(chan error, 1)
		go func() { ended <- session.RenewPeriodic("10s", id, nil, done) }()
		close(done)
		err, late := within(ended)
		if err = errors.Join(err, late); err != nil {
			return err
		}
		gone, _, err := session.Info(id, nil)
		return errors.Join(err, equal(gone == nil, true))
	})
	check("Session().Renew of one that is not there is nothing", func() error {
		renewed, _, err := session.Renew("8f7a2b1c-0000-0000-0000-000000000000", nil)
		return errors.Join(err, equal(renewed == nil, true))
	})
	check("a session ends with its service's check", func() error {
		id, _, err := session.Create(&api.SessionEntry{Name: "checked", NodeChecks: []string{"serfHealth"}, ServiceChecks: []api.ServiceCheck{{ID: "web-up"}}, LockDelay: time.Millisecond}, nil)
		if err != nil {
			return err
		}
		if err := client.Agent().FailTTL("web-up", ""); err != nil {
			return err
		}
		err = eventually(func() error {
			gone, _, err := session.Info(id, nil)
			return errors.Join(err, equal(gone == nil, true))
		})
		return errors.Join(err, client.Agent().PassTTL("web-up", ""), hasPassing("web", "web-1"))
	})
}

func locks() {
	check("Lock: one holder at a time, and the next after it", func() error {
		first, err := client.LockKey("jobs/lock")
		if err != nil {
			return err
		}
		if lost, err := first.Lock(nil); err != nil || lost == nil {
			return fmt.Errorf("%v, %v", lost, err)
		}
		if _, err := first.Lock(nil); err != api.ErrLockHeld {
			return fmt.Errorf("%v", err)
		}
		second, err := client.LockOpts(&api.LockOptions{Key: "jobs/lock", Value: []byte("second"), LockTryOnce: true, LockWaitTime: 500 * time.Millisecond})
		if err != nil {
			return err
		}
		if lost, err := second.Lock(nil); err != nil || lost != nil {
			return fmt.Errorf("it was held by two: %v", err)
		}
		third, err := client.LockKey("jobs/lock")
		if err != nil {
			return err
		}
		got := make(chan error, 1)
		go func() { _, err := third.Lock(nil); got <- err }()
		time.Sleep(200 * time.Millisecond)
		if err := first.Unlock(); err != nil {
			return err
		}
		err, late := within(got)
		if err = errors.Join(err, late); err != nil {
			return err
		}
		if err := second.Destroy(); err != api.ErrLockInUse {
			return fmt.Errorf("%v", err)
		}
		return errors.Join(third.Unlock(), third.Destroy())
	})
	check("Lock: the holder is told when its session ends", func() error {
		lock, err := client.LockKey("jobs/lost")
		if err != nil {
			return err
		}
		lost, err := lock.Lock(nil)
		if err != nil {
			return err
		}
		pair, _, err := client.KV().Get("jobs/lost", nil)
		if err != nil {
			return err
		}
		if _, err := client.Session().Destroy(pair.Session, nil); err != nil {
			return err
		}
		_, err = within(lost)
		return err
	})
	check("Semaphore: two seats, and the third waits", func() error {
		seats := []*api.Semaphore{}
		for range 3 {
			seat, err := client.SemaphorePrefix("jobs/seats", 2)
			if err != nil {
				return err
			}
			seats = append(seats, seat)
		}
		for _, seat := range seats[:2] {
			if lost, err := seat.Acquire(nil); err != nil || lost == nil {
				return fmt.Errorf("%v, %v", lost, err)
			}
		}
		got := make(chan error, 1)
		go func() { _, err := seats[2].Acquire(nil); got <- err }()
		select {
		case err := <-got:
			return fmt.Errorf("there were three seats: %v", err)
		case <-time.After(300 * time.Millisecond):
		}
		if err := seats[0].Release(); err != nil {
			return err
		}
		err, late := within(got)
		if err = errors.Join(err, late); err != nil {
			return err
		}
		return errors.Join(seats[1].Release(), seats[2].Release(), seats[2].Destroy())
	})
}

func events() {
	check("Event().Fire and List", func() error {
		id, _, err := client.Event().Fire(&api.UserEvent{Name: "deploy", Payload: []byte("v2"), ServiceFilter: "web"}, nil)
		if err != nil {
			return err
		}
		return eventually(func() error {
			all, meta, err := client.Event().List("deploy", nil)
			if err != nil || len(all) != 1 {
				return fmt.Errorf("%v, %v", all, err)
			}
			return equal([]any{all[0].ID, string(all[0].Payload), meta.LastIndex}, []any{id, "v2", client.Event().IDToIndex(id)})
		})
	})
}

// watches runs a plan of the watch package: it must give what is there, and then what comes.
func watches() {
	run := func(name string, params map[string]any, change func() error, seen func(any) bool) {
		check("watch "+name, func() error {
			plan, err := watch.Parse(params)
			if err != nil {
				return err
			}
			calls := make(chan any, 64)
			plan.HybridHandler = func(_ watch.BlockingParamVal, data any) { calls <- data }
			ended := make(chan error, 1)
			go func() { ended <- plan.RunWithClientAndHclog(client, nil) }()
			defer plan.Stop()
			if _, err := within(calls); err != nil {
				return err
			}
			if err := change(); err != nil {
				return err
			}
			late := time.After(patience)
			for {
				select {
				case data := <-calls:
					if seen(data) {
						plan.Stop()
						err, late := within(ended)
						return errors.Join(err, late)
					}
				case err := <-ended:
					return fmt.Errorf("it ended: %v", err)
				case <-late:
					return errors.New("the change was not seen in time")
				}
			}
		})
	}
	put := func(key string) func() error {
		return func() error {
			_, err := client.KV().Put(&api.KVPair{Key: key, Value: []byte("new")}, nil)
			return err
		}
	}
	if err := put("w/key")(); err != nil {
		failed = true
		fmt.Println("failed watch: a key to watch --", err)
	}
	type P = map[string]any
	run("key", P{"type": "key", "key": "w/other"}, put("w/other"), func(data any) bool {
		pair, is := data.(*api.KVPair)
		return is && pair != nil && string(pair.Value) == "new"
	})
	run("keyprefix", P{"type": "keyprefix", "prefix": "w/"}, put("w/second"), func(data any) bool { return len(data.(api.KVPairs)) == 3 })
	run("services", P{"type": "services"}, func() error {
		return client.Agent().ServiceRegister(&api.AgentServiceRegistration{Name: "watched"})
	}, func(data any) bool { return data.(map[string][]string)["watched"] != nil })
	run("nodes", P{"type": "nodes"}, func() error {
		_, err := client.Catalog().Register(&api.CatalogRegistration{Node: "second", Address: "10.0.0.2"}, nil)
		return err
	}, func(data any) bool { return len(data.([]*api.Node)) == 2 })
	run("service", P{"type": "service", "service": "web", "passingonly": true}, func() error { return client.Agent().FailTTL("web-up", "") },
		func(data any) bool { return len(data.([]*api.ServiceEntry)) == 0 })
	run("checks", P{"type": "checks", "service": "web"}, func() error { return client.Agent().PassTTL("web-up", "") },
		func(data any) bool { return data.([]*api.HealthCheck)[0].Status == api.HealthPassing })
	run("event", P{"type": "event", "name": "deploy"}, func() error {
		_, _, err := client.Event().Fire(&api.UserEvent{Name: "deploy", Payload: []byte("v3")}, nil)
		return err
	}, func(data any) bool {
		return string(data.([]*api.UserEvent)[len(data.([]*api.UserEvent))-1].Payload) == "v3"
	})
	run("agent_service", P{"type": "agent_service", "service_id": "web-1"}, func() error {
		return client.Agent().ServiceRegister(&api.AgentServiceRegistration{ID: "web-1", Name: "web", Port: 9999})
	}, func(data any) bool { return data.(*api.AgentService).Port == 9999 })
}

func rest() {
	check("Operator().RaftGetConfiguration", func() error {
		raft, err := client.Operator().RaftGetConfiguration(nil)
		if err != nil {
			return err
		}
		return equal([]any{len(raft.Servers), raft.Servers[0].Node, raft.Servers[0].Leader}, []any{1, "compat", true})
	})
	check("Operator().AutopilotGetConfiguration", func() error {
		settings, err := client.Operator().AutopilotGetConfiguration(nil)
		if err != nil {
			return err
		}
		return equal(settings.CleanupDeadServers, true)
	})
	check("Coordinate().Nodes and Datacenters", func() error {
		return eventually(func() error {
			nodes, _, err := client.Coordinate().Nodes(nil)
			if err != nil {
				return err
			}
			_, err = client.Coordinate().Datacenters()
			return errors.Join(err, equal(len(nodes), 1))
		})
	})
	check("ConfigEntries().List", func() error {
		entries, _, err := client.ConfigEntries().List(api.ServiceDefaults, nil)
		return errors.Join(err, equal(len(entries), 0))
	})
	check("PreparedQuery() create, get, execute, delete", func() error {
		query := client.PreparedQuery()
		id, _, err := query.Create(&api.PreparedQueryDefinition{Name: "web-query", Service: api.ServiceQuery{Service: "web", OnlyPassing: true}}, nil)
		if err != nil {
			return err
		}
		found, _, err := query.Get(id, nil)
		if err != nil {
			return err
		}
		answer, _, err := query.Execute("web-query", nil)
		if err != nil {
			return err
		}
		_, err = query.Delete(id, nil)
		return errors.Join(err, equal([]any{len(found), len(answer.Nodes), answer.Nodes[0].Service.ID}, []any{1, 1, "web-1"}))
	})
	check("ServiceDeregister", func() error {
		if err := client.Agent().ServiceDeregister("web-1"); err != nil {
			return err
		}
		return hasPassing("web")
	})
	// A Consul that keeps nothing on disk forgets at a reload what was registered: so it comes last.
	check("Agent().Reload", func() error { return client.Agent().Reload() })
	check("Snapshot().Save and Restore", func() error {
		put := func(value string) error {
			_, err := client.KV().Put(&api.KVPair{Key: "snap", Value: []byte(value)}, nil)
			return err
		}
		if err := put("before"); err != nil {
			return err
		}
		saved, _, err := client.Snapshot().Save(nil)
		if err != nil {
			return err
		}
		defer saved.Close()
		text, err := io.ReadAll(saved)
		if err != nil {
			return err
		}
		if err := put("after"); err != nil {
			return err
		}
		if err := client.Snapshot().Restore(nil, bytes.NewReader(text)); err != nil {
			return err
		}
		return eventually(func() error {
			pair, _, err := client.KV().Get("snap", nil)
			if err != nil || pair == nil {
				return fmt.Errorf("%v, %v", pair, err)
			}
			return equal(string(pair.Value), "before")
		})
	})
}

// clientVersion is that of the module that was built in.
func clientVersion() string {
	info, _ := debug.ReadBuildInfo()
	for _, module := range info.Deps {
		if module.Path == "github.com/hashicorp/consul/api" {
			return strings.TrimPrefix(module.Version, "v")
		}
	}
	return "unknown"
}

func main() {
	fmt.Println("version", clientVersion())
	time.AfterFunc(limit, func() {
		fmt.Printf("failed the program -- it was not over after %s\n", limit)
		os.Exit(1)
	})
	var err error
	client, err = api.NewClient(&api.Config{Address: address})
	if err != nil {
		fmt.Println("failed the program --", err)
		os.Exit(1)
	}
	for _, part := range []func(){registration, checks, catalog, blocking, kv, sessions, locks, events, watches, rest} {
		part()
	}
	if failed {
		os.Exit(1)
	}
}
