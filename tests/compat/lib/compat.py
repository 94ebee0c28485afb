"""What the client programs in Python share: assertions, waits with a deadline, processes that end with the program.

In:  the environment: COMPAT_HTTP and COMPAT_DNS, the registry's addresses; COMPAT_CLIENT, the client's binary where it has
     one; COMPAT_DIR, an empty directory.
Out: a line for each assertion, `ok NAME` or `failed NAME -- WHY`, and `version TEXT`; exit code 1 when one failed.
Never: knows which registry it is; waits without a deadline; leaves a process behind.
"""

import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import time
import traceback
import urllib.error
import urllib.request

HTTP = os.environ["COMPAT_HTTP"]
HTTP_HOST, HTTP_PORT = HTTP.rsplit(":", 1)
HTTP_PORT = int(HTTP_PORT)
DNS_HOST, DNS_PORT = os.environ["COMPAT_DNS"].rsplit(":", 1)
DNS_PORT = int(DNS_PORT)
CLIENT = os.environ.get("COMPAT_CLIENT", "")
DIR = os.environ["COMPAT_DIR"]

# How long what must happen may take: for a machine that is busy.
PATIENCE = 30

_failed = 0
_children = []


class Over(BaseException):
    """The program's time is over: no assertion catches this."""



def say(line):
    print(line, flush=True)


def version(text):
    say(f"version {text}")


def check(name, test):
    """Runs `test`; what it raises, or a false answer other than None, is the failure."""
    global _failed
    try:
        answer = test()
        if answer is None or answer is True:
            say(f"ok {name}")
            return
        why = f"is {answer!r}"
    except AssertionError as error:
        why = str(error)
    except Exception as error:  # whatever a client raises is the finding
        why = f"{type(error).__name__}: {error}"
        traceback.print_exc(limit=-3)
    _failed += 1
    say(f"failed {name} -- {' '.join(why.split())[:500]}")


def equal(got, want):
    assert got == want, f"{got!r}, not {want!r}"


def holds(whole, part):
    assert part in whole, f"no {part!r} in {whole!r}"


def eventually(test, patience=PATIENCE):
    """Runs `test` until it raises nothing; then gives what it gave."""
    end = time.monotonic() + patience
    while True:
        try:
            return test()
        except Exception:
            if time.monotonic() > end:
                raise
        time.sleep(0.1)


def _die_with_us():
    # 1 is PR_SET_PDEATHSIG: what this program started ends with it, however it ends.
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def start(words, **options):
    """Starts a process that ends with this program at the latest."""
    child = subprocess.Popen(words, preexec_fn=_die_with_us, **options)
    _children.append(child)
    return child


def run(words, stdin="", patience=PATIENCE, env=None, code=0):
    """Runs a program to its end and gives all that it said; another exit code than `code` is a failure, None takes any."""
    child = start(
        words,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, **(env or {})},
    )
    try:
        said, _ = child.communicate(stdin, timeout=patience)
    except subprocess.TimeoutExpired:
        child.kill()
        said, _ = child.communicate()
        raise AssertionError(f"{words} was not over after {patience} s: {said}") from None
    assert code is None or child.returncode == code, f"{words} ended with {child.returncode}: {said}"
    return said


def serve(words, port):
    """Starts a server and waits until it takes connections at this port of the loopback."""
    child = start(words)

    def answers():
        with socket.create_connection(("127.0.0.1", port), timeout=5):
            pass

    def up():
        code = child.poll()
        return code if code is not None else answers()

    code = eventually(up)
    assert code is None, f"{words} ended with {code}"


def ask(method, path, body=None, patience=PATIENCE):
    """A request beside the client: what a test lays out, or looks at. Gives the answer's JSON, or its text."""
    data = body.encode() if isinstance(body, str) else None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"http://{HTTP}{path}", data=data, method=method)
    try:
        with urllib.request.urlopen(request, timeout=patience) as answer:
            text = answer.read().decode()
    except urllib.error.HTTPError as error:
        raise AssertionError(f"{method} {path}: {error.code} {error.read().decode()}") from None
    try:
        return json.loads(text)
    except ValueError:
        return text


def register(name, port, id=None, tags=(), status="passing", **more):
    """Registers an instance with a TTL check in this status."""
    body = {"Name": name, "ID": id or name, "Port": port, "Tags": list(tags), **more}
    body["Check"] = {"TTL": "10m", "Status": status}
    ask("PUT", "/v1/agent/service/register", body)


def deregister(id):
    ask("PUT", f"/v1/agent/service/deregister/{id}")


def set_health(id, status):
    ask("PUT", f"/v1/agent/check/update/service:{id}", {"Status": status})


def settled(name, count):
    """Waits until the catalogue has so many passing instances."""
    eventually(lambda: equal(len(ask("GET", f"/v1/health/service/{name}?passing")), count))


def free_port():
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return held.getsockname()[1]


def main(test, limit):
    """Runs the program's `test` within `limit` seconds, ends what it started, and exits."""
    global _failed

    def over(*_):
        raise Over(f"the program was not over after {limit} s")

    signal.signal(signal.SIGALRM, over)
    signal.signal(signal.SIGTERM, over)
    signal.alarm(limit)
    try:
        test()
    except (Exception, Over) as error:
        traceback.print_exc()
        _failed += 1
        say(f"failed the program -- {type(error).__name__}: {' '.join(str(error).split())[:500]}")
    finally:
        signal.alarm(0)
        for child in _children:
            if child.poll() is None:
                child.kill()
            child.wait()
    sys.exit(1 if _failed else 0)
