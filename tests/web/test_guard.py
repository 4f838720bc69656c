"""Nobody but our own page, in a browser that came through a link, gets anything."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from urllib.parse import quote

import pytest

from curate.web.app import FILES, router
from curate.web.guard import MAX_BODY_BYTES, Doors, digest
from tests.web.world import Caller, Inside, World, decision, inside, make_world, sent, served

pytestmark = pytest.mark.full


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_world(tmp_path_factory.mktemp("guard") / "project", 8)


@pytest.fixture(scope="module")
def server(world: World) -> Iterator[Inside]:
    with inside(world, "anna", "ben") as running:
        yield running


@pytest.fixture(scope="module")
def anna(server: Inside) -> Caller:
    return Caller.through(server, "anna")


def requests(world: World) -> list[tuple[str, str, bytes | None]]:
    """One good request for every route there is."""
    first = world.ids[0]
    decide = json.dumps(sent("anna", decision("matrix", first, "beach"))).encode()
    wanted = json.dumps({"images": [first]}).encode()
    return [
        ("GET", "/", None),
        *(("GET", f"/static/{name}", None) for name in FILES),
        ("GET", "/api/start", None),
        ("GET", "/api/page", None),
        ("GET", f"/api/before?image={first}", None),
        ("GET", "/api/batch", None),
        ("GET", "/api/counts", None),
        ("GET", "/api/changes?after=0", None),
        ("GET", f"/api/image/{first}", None),
        ("GET", f"/thumb/{first}", None),
        ("GET", f"/image/{first}", None),
        ("POST", "/api/tiles", wanted),
        ("POST", "/api/decisions", decide),
    ]


STRANGERS: dict[str, dict[str, str | None]] = {
    "no token": {"cookie": None},
    "wrong token": {"cookie": "curate_audit_{port}=" + "x" * 43},
    "another port's cookie": {"cookie": "curate_audit_1=" + "x" * 43},
    "foreign host": {"host": "evil.example"},
    "foreign host, our port": {"host": "evil.example:{port}"},
    "no host": {"host": None},
    "foreign origin": {"origin": "http://evil.example"},
    "another port's origin": {"origin": "http://127.0.0.1:1"},
    "https origin": {"origin": "https://127.0.0.1:{port}"},
    "null origin": {"origin": "null"},
    "cross-site": {"sec_fetch_site": "cross-site"},
    "same-site, another port": {"sec_fetch_site": "same-site"},
    "cross-site with our origin": {
        "sec_fetch_site": "cross-site",
        "origin": "http://127.0.0.1:{port}",
    },
}


def test_the_matrix_has_every_route(world: World) -> None:
    paths = {route.path for route in router.routes}  # type: ignore[attr-defined]
    asked = {path.partition("?")[0] for _, path, _ in requests(world)}
    for path in paths:
        fixed = path.partition("{")[0]
        assert any(each == path or ("{" in path and each.startswith(fixed)) for each in asked), path


@pytest.mark.parametrize("who", STRANGERS)
def test_every_route_refuses(who: str, world: World, server: Inside, anna: Caller) -> None:
    changes = {
        name: value and value.replace("{port}", str(server.port))
        for name, value in STRANGERS[who].items()
    }
    for method, path, body in requests(world):
        answer = anna.ask(method, path, body, **changes)
        assert answer.status in (400, 403), f"{who}: {method} {path}"
        assert world.ids[0].encode() not in answer.body
        assert "set-cookie" not in answer.headers
    assert not world.ledger()


def test_every_route_refuses_cross_site_posts(world: World, anna: Caller) -> None:
    for _, path, _ in requests(world):
        for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
            answer = anna.ask("POST", path, b"{}", content_type=kind)
            assert answer.status == 415
        answer = anna.ask("POST", path, b"{}", origin="http://evil.example")
        assert answer.status == 403
    assert not world.ledger()


def test_the_same_requests_are_answered_for_our_own_page(world: World, server: Inside) -> None:
    ben = Caller.through(server, "ben")
    for method, path, body in requests(world):
        good = body and body.replace(b"anna", b"ben").replace(b"matrix", b"allowed-key-1")
        answer = ben.ask(method, path, good, sec_fetch_site="same-origin")
        assert answer.status == 200, f"{method} {path} {answer.body!r}"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert "unsafe" not in answer.headers["content-security-policy"]
        assert "access-control-allow-origin" not in answer.headers


def test_methods_that_nobody_needs_are_refused(server: Inside, anna: Caller) -> None:
    for method in ("PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT"):
        assert anna.ask(method, "/").status in (400, 405)


def test_a_link_is_good_once_and_its_token_leaves_the_address(world: World) -> None:
    with inside(world) as server:
        first = Caller(server.port)
        path = "/?" + server.link.partition("?")[2]
        answer = first.ask("GET", path, sec_fetch_site="none")
        assert (answer.status, answer.headers["location"]) == (303, "/")
        cookie = answer.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=Strict" in cookie
        assert "Domain" not in cookie
        token = path.partition("=")[2]
        assert token not in cookie
        assert first.ask("GET", path).status == 403
        # Whoever is in already is not shut out by an old link.
        first.cookie = cookie.partition(";")[0]
        assert first.ask("GET", path).status == 303


def test_a_session_outlives_the_server(world: World) -> None:
    with served(world, "--port", "0", "--annotator", "cleo") as server:
        cleo = Caller.through(server)
        server.kill()
        server.start()
        assert cleo.get("/api/start")["annotator"] == "cleo"


def test_secrets_are_kept_as_hashes_only(world: World) -> None:
    with inside(world, "dora") as running:
        caller = Caller.through(running)
    secret = caller.cookie.partition("=")[2]
    data = b"".join(path.read_bytes() for path in world.folder.glob("catalog.db*"))
    assert secret.encode() not in data
    assert digest(secret).encode() in data


def test_an_address_of_many_fields_is_refused_in_words(server: Inside) -> None:
    for path in (f"/?{'a=1&' * 200}token=x", f"/api/start?{'a=1&' * 200}"):
        answer = Caller(server.port).ask("GET", path)
        assert answer.status == 403
        assert b"Open the link" in answer.body


def test_tokens_are_compared_whole() -> None:
    doors = Doors()
    token = doors.link("anna")
    assert doors.take(token[:-1]) is None
    assert doors.take(token + "x") is None
    assert doors.take("") is None
    assert doors.take(token) == "anna"
    assert doors.take(token) is None


def traversals(world: World) -> list[str]:
    """200 ways of asking for something outside."""
    rng = random.Random(0)
    targets = [
        "curate.toml",
        "catalog.db",
        "etc/passwd",
        "audit.html",
        "__init__.py",
        "outside.txt",
    ]
    steps = ["..", "%2e%2e", "%2E.", ".%2e", "..%2f", "..\\", "%2e%2e%5c", "....//", "%252e%252e",
             "%c0%ae%c0%ae", "..;", ".", "%00", "//", "~", "%2f"]  # fmt: skip
    roots = ["/static/", "/thumb/", "/image/", "/api/image/", "/", f"/thumb/{world.ids[0]}/"]
    fixed = [f"{root}{quote(str(world.folder / 'catalog.db'), safe='')}" for root in roots]
    fixed += [f"{root}{world.ids[0][:2]}/{world.ids[0]}.jpg" for root in roots]
    fixed += [f"/image/{world.ids[0].upper()}", f"/image/{world.ids[0]}%0a", f"/thumb/{'0' * 64}"]
    made = [
        rng.choice(roots)
        + "/".join(rng.choice(steps) for _ in range(rng.randint(1, 8)))
        + "/"
        + rng.choice(targets)
        for _ in range(200 - len(fixed))
    ]
    return fixed + made


def test_no_path_leads_out_of_the_store(world: World, anna: Caller) -> None:
    (world.folder.parent / "outside.txt").write_text("secret words")
    (world.folder / "curate.toml").write_text("# secret words\n")
    paths = traversals(world)
    assert len(paths) == 200
    for path in paths:
        answer = anna.ask("GET", path)
        assert answer.status in (400, 404, 422), path
        assert b"secret words" not in answer.body
        assert not answer.body.startswith((b"SQLite", b"\xff\xd8", b"root:"))


def refused(caller: Caller, body: bytes, **headers: str | None) -> bool:
    """Whether a body is not taken; who hangs up over unread bytes may cut off its own answer."""
    try:
        return caller.ask("POST", "/api/tiles", body, **headers).status in (400, 413)
    except (ConnectionResetError, BrokenPipeError):
        return True  # that the server lives on is seen by the next request


def test_bodies_and_addresses_are_bounded(anna: Caller) -> None:
    # Refused by what is announced, before any of it is read.
    announced = str(MAX_BODY_BYTES + 1)
    assert anna.ask("POST", "/api/tiles", b"", content_length=announced).status == 413
    size = MAX_BODY_BYTES + 1
    chunks = b"%x\r\n%s\r\n0\r\n\r\n" % (size, b" " * size)
    assert refused(anna, chunks, content_length=None, transfer_encoding="chunked")
    assert anna.ask("GET", "/api/page?class=" + "x" * 20_000).status in (400, 414)
    for wrong in ("-1", "1e3", "²", "x"):
        assert refused(anna, b"{}", content_length=wrong)
    many = [decision(f"many-{n:04d}", "0" * 64, "beach") for n in range(501)]
    assert (
        anna.ask("POST", "/api/decisions", json.dumps(sent("anna", *many)).encode()).status == 422
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"key": "short"},
        {"key": "x" * 65},
        {"key": "../../../../etc/passwd"},
        {"image_id": "0" * 63},
        {"image_id": "../" * 21 + "x"},
        {"kind": "rename"},
        {"classes": None},
        {"classes": "beach"},
        {"classes": ["x" * 501]},
        {"classes": ["x"] * 201},
        {"seconds": -1},
        {"seconds": "1"},
        {"ago_s": 1e99},
        {"shown_score": 2},
        {"mode": "<script>"},
        {"undoes": "a-key-of-16-char"},
        {"annotator": "ben"},
        {"__proto__": {}},
    ],
)
def test_what_the_page_does_not_send_is_refused(
    wrong: dict[str, object], world: World, anna: Caller
) -> None:
    body = json.dumps(sent("anna", {**decision("bad", world.ids[0], "beach"), **wrong})).encode()
    answer = anna.ask("POST", "/api/decisions", body)
    assert answer.status == 422
    assert answer.json == {"error": "that is not something this page sends"}
    assert all(each.annotator != "anna" for each in world.ledger())


def test_no_route_describes_the_others(anna: Caller) -> None:
    for path in ("/docs", "/redoc", "/openapi.json"):
        assert anna.ask("GET", path).status == 404
