"""Programs that nobody here wrote as clients of tern's examples, and daytime, whose server closes first."""

import os
import re
import signal
import time

import pcap
from netlab import FAMILIES, V4, V6, case, check, command_in, need

HTTP, REDIS, DAYTIME = 80, 6379, 13


class Example:
    """tern-http or tern-pong under way. It must end well and leave nothing behind."""

    def __init__(self, lab, program, namespace, ready, *arguments):
        argv = lab.settings.program(program) + [
            "--device", "af_packet:t0", "--hugepages", lab.settings.hugepages, "--lcores", lab.cpu(0), "--address",
            V4.tern_address(), "--address", V6.tern_address(), *arguments]
        self.process = lab.spawn(program, argv, namespace)
        self.process.wait_for(ready)

    def stop(self):
        self.process.signal(signal.SIGTERM)
        status = self.process.wait(20)
        check(status == 0, self.process.label, "ended with status", status, self.process.error_text())


def site(lab):
    """A directory to serve, and its files: {name: content}. What a link in it leads to must not be served."""
    root = lab.path("site")
    os.makedirs(os.path.join(root, "docs"))
    files = {"index.html": b"<p>tern</p>\n", "docs/index.html": b"docs\n", "docs/a.txt": b"a" * 1000, "empty": b"",
             "big": os.urandom(3 << 20)}
    for name, content in files.items():
        with open(os.path.join(root, name), "wb") as file:
            file.write(content)
    os.symlink("/etc/hostname", os.path.join(root, "link"))
    return root, files


def web(lab):
    """A pair with tern-http in it: (the kernel's namespace, the server, its files)."""
    tern, kernel = lab.pair()
    root, files = site(lab)
    return kernel, Example(lab, "tern-http", tern, "serving", "--root", root, "--port", str(HTTP)), files


def url(family, path):
    return "http://%s/%s" % ("[%s]" % family.tern if ":" in family.tern else family.tern, path)


@case(over=FAMILIES, waits=True)
def curl(lab, family):
    """Every file comes whole, many on one connection; what is not there is not found."""
    need("curl")
    kernel, server, files = web(lab)
    got = lab.path("got")
    for name, content in {**files, "": files["index.html"], "docs/": files["docs/index.html"]}.items():
        command_in(kernel, "curl", "-sS", "--fail", "-g", "-o", got, url(family, name))
        with open(got, "rb") as file:
            check(file.read() == content, "/%s differs" % name)
    many = ["-o", "/dev/null", url(family, "docs/a.txt?x=1")] * 20
    said = command_in(kernel, "curl", "-sS", "-g", "-w", "%{http_code} %{size_download} %{num_connects}\\n", *many)
    check(said.split("\n")[:20] == ["200 1000 1"] + ["200 1000 0"] * 19, "twenty on one connection:", said)
    for name in ("nothing", "link", "../../../etc/passwd", "docs/%2e%2e/index.html", "docs"):
        said = command_in(kernel, "curl", "-sS", "-g", "--path-as-is", "-w", " %{http_code}", url(family, name))
        check(said == "there is no such file\n 404", "/%s gave" % name, said)
    said = command_in(kernel, "curl", "-sS", "-g", "-I", url(family, "big"))
    check("200 OK" in said and "Content-Length: %d" % len(files["big"]) in said, "HEAD gave", said)
    said = command_in(kernel, "curl", "-sS", "-g", "-d", "x=1", "-w", " %{http_code}", url(family, "index.html"))
    check(said.endswith(" 405"), "POST gave", said)
    server.stop()


def exchange(lab, kernel, family, port, text, end=False):
    """Sends, ends this side's stream if asked to, and gives all that comes until the server ends its own."""
    sock = lab.connect(kernel, family, port)
    sock.sendall(text)
    if end:
        sock.shutdown(1)
    got = b""
    while piece := sock.recv(1 << 16):
        got += piece
    sock.close()
    return got


@case(over=FAMILIES, waits=True)
def http_corners(lab, family):
    """Pipelining, HTTP/1.0, what is no request: the answer of RFC 9112, and an orderly end."""
    kernel, server, files = web(lab)
    host = b"Host: x\r\n"

    def ask(text, end=False):
        return exchange(lab, kernel, family, HTTP, text, end)
    got = ask(b"GET /docs/a.txt HTTP/1.1\r\n" + host + b"\r\n" + b"HEAD / HTTP/1.1\r\n" + host + b"\r\n"
              b"GET /nothing HTTP/1.1\r\n" + host + b"\r\n" + b"GET /big HTTP/1.1\r\nConnection: Close\r\n" + host +
              b"\r\nGET / HTTP/1.1\r\n" + host + b"\r\n")
    heads = re.findall(rb"HTTP/1.1 (\d+) [^\r]*\r\nContent-Length: (\d+)\r\n[^\0]*?Connection: ([a-z-]+)\r\n\r\n",
                       got[:2000])
    check(heads == [(b"200", b"1000", b"keep-alive"), (b"200", b"12", b"keep-alive"), (b"404", b"22", b"keep-alive"),
                    (b"200", b"%d" % len(files["big"]), b"close")], "pipelined:", heads)
    check(got.endswith(files["big"]), "the last answer is not whole, or something follows it")
    check(got.count(b"HTTP/1.1") - files["big"].count(b"HTTP/1.1") == 4, "something follows the last answer")
    got = ask(b"GET / HTTP/1.0\r\n\r\n")
    check(got.startswith(b"HTTP/1.1 200") and got.endswith(files["index.html"]), "HTTP/1.0:", got)
    got = ask((b"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n") * 2, end=True)
    check(got.count(b"Connection: keep-alive") == 2, "HTTP/1.0 with keep-alive:", got)
    for text, status in ((b"GET / HTTP/1.1\r\n\r\n", b"400"), (b"GET /\r\n\r\n", b"400"), (b"\r\n\r\n", b"400"),
                         (b"GET / HTTP/2.0\r\n" + host + b"\r\n", b"400"), (b"A" * 20000, b"431"),
                         (b"PUT / HTTP/1.1\r\n" + host + b"\r\n", b"405")):
        got = ask(text, end=True)
        check(got.split(b" ")[1:2] == [status] and got.count(b"HTTP/1.1") == 1, text[:40], "gave", got)
    # Octet by octet; and a client that goes away in the middle.
    sock = lab.connect(kernel, family, HTTP)
    for octet in b"GET /docs/ HTTP/1.1\r\n" + host + b"\r\n":
        sock.send(bytes((octet,)))
        time.sleep(0.001)
    check(sock.recv(1000).endswith(files["docs/index.html"]), "a request in pieces is not answered")
    sock.send(b"GET /big HTTP/1.1\r\n" + host)
    sock.close()
    server.stop()


@case(over=FAMILIES, waits=True, timeout=90)
def wrk(lab, family):
    """Sixteen connections that ask without pause."""
    need("wrk")
    kernel, server, _ = web(lab)
    said = command_in(kernel, "wrk", "-t", "1", "-c", "16", "-d", "2s", "--timeout", "20s",
                      url(family, "docs/a.txt"))
    count = re.search(r"(\d+) requests in", said)
    check(count and int(count.group(1)) > 100, "wrk:", said)
    check("Socket errors" not in said and "Non-2xx" not in said, "wrk:", said)
    server.stop()
    return "%s requests" % count.group(1)


@case(over=FAMILIES, waits=True, timeout=90)
def ab(lab, family):
    """ApacheBench: a connection for each request, where the server closes first, and with keep-alive; a large file."""
    need("ab")
    kernel, server, files = web(lab)
    for count, size, path, more in ((1000, 1000, "docs/a.txt", ()), (3000, 1000, "docs/a.txt", ("-k",)),
                                    (20, len(files["big"]), "big", ("-k",))):
        said = command_in(kernel, "ab", "-q", "-s", "30", "-c", "10", "-n", str(count), *more, url(family, path))
        figures = dict(re.findall(r"^([A-Z][A-Za-z0-9 -]+):\s+(\d+)", said, re.MULTILINE))
        check((figures["Complete requests"], figures["Failed requests"], figures["HTML transferred"]) ==
              (str(count), "0", str(count * size)), "ab:", said)
        check("Non-2xx" not in said, "ab:", said)
        check(figures.get("Keep-Alive requests", "0") == (str(count) if more else "0"), "ab:", said)
    server.stop()
    return "4020 requests"


@case(over=FAMILIES, waits=True, timeout=90)
def redis_benchmark(lab, family):
    """PING inline, alone and pipelined, and as an array."""
    need("redis-benchmark")
    tern, kernel = lab.pair()
    server = Example(lab, "tern-pong", tern, "answering", "--port", str(REDIS))
    total = 0
    for count, depth in ((3000, 1), (20000, 16)):
        said = command_in(kernel, "redis-benchmark", "-h", family.tern, "-p", str(REDIS), "-t", "ping_inline,ping_mbulk",
                          "-n", str(count), "-c", "20", "-P", str(depth), "--csv")
        figures = re.findall(r'^"(PING_\w+)","([0-9.]+)"', said, re.MULTILINE)
        check([name for name, _ in figures] == ["PING_INLINE", "PING_MBULK"], "redis-benchmark:", said)
        total += 2 * count
    text = b"PING\r\nping\r\n\r\nECHO x\r\n*2\r\n$4\r\nPING\r\n$1\r\nx\r\n*1\r\n$4\r\nPING\r\n"
    got = exchange(lab, kernel, family, REDIS, text, end=True)
    check(got == b"+PONG\r\n" * 2 + b"-ERR unknown command\r\n" + b"+PONG\r\n" * 2, "its answers are", got)
    server.stop()
    return "%d requests" % total


@case(over=FAMILIES, waits=True)
def daytime(lab, family):
    """One line, then the server's end of the stream, and TIME-WAIT at the server: RFC 867, RFC 9293 3.6."""
    tern, kernel = lab.pair(capture=False)
    capture = lab.capture(kernel, "k0")
    server = lab.server(tern, "--port", "0", "--daytime", str(DAYTIME))
    for count in (1, 2, 3):
        got = exchange(lab, kernel, family, DAYTIME, b"" if count < 3 else b"what time is it?\n")
        check(re.fullmatch(rb"[A-Z][a-z]+day, [A-Z][a-z]+ \d\d, \d{4} \d\d:\d\d:\d\d-UTC\r\n", got), "it says", got)
        # The kernel's last ACK is behind its end of the stream, which tern may not have looked at.
        lab.wait_until(lambda count=count: server.snapshot()["stack"]["time_wait"] == count, "%d in TIME-WAIT" % count)
    check(server.snapshot()["stack"]["connections"] == 0, "stack:", server.snapshot()["stack"])
    check("tcp" not in command_in(kernel, "ss", "-Htan", "state", "time-wait"), "the kernel waits, too")
    service = server.stop()["service"]
    check(service["accepted"] == service["graceful"] == 3 and service["octets_in"] == 17, "service:", service)
    if capture:
        ends = [s.source for s in pcap.segments(lab.end_capture(capture)) if s.flags & pcap.FIN]
        check(len(ends) == 6 and ends[::2] == [family.tern] * 3, "who ended the streams, in order:", ends)
