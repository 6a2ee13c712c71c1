"""A CA bundle is read where TLS is spoken, once, and again when it was replaced."""

from __future__ import annotations

import os
import shutil
import ssl
import subprocess

import pytest
from both_ways import both, list_async
from factories import item, listing
from faults.peer import Peer, http, make_certificates, send

from airflow_provider_revor import exceptions as e


def served(certificate=None):
    return Peer(lambda method, path: send(http(200, listing(item()))), certificate)


@pytest.fixture
def cas(tmp_path):
    """Two CAs of the same name, each with a server's certificate."""
    made = []
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        made.append(make_certificates(tmp_path / name))
    return made


@both
def test_a_rotated_bundle_is_read_again(connect, tmp_path, cas, ask):
    (old_ca, old), (new_ca, new) = cas
    bundle = tmp_path / "bundle.pem"
    shutil.copy(old_ca, bundle)
    with served(old) as before, served(new) as after:
        connect(host=before.url, extra={"verify": str(bundle)})
        assert len(ask()) == 1
        connect(host=after.url, extra={"verify": str(bundle)})
        with pytest.raises(e.RevorConnectionError, match="certificate verify failed"):
            ask()
        # As a deployment replaces it: another file under the same name.
        shutil.copy(new_ca, tmp_path / "next.pem")
        os.replace(tmp_path / "next.pem", bundle)
        assert len(ask()) == 1
        bundle.write_text("")
        with pytest.raises(e.RevorConfigurationError, match="cannot be read as a CA bundle"):
            ask()


@both
def test_a_directory_in_which_a_ca_was_replaced_is_read_again(connect, tmp_path, cas, ask):
    (old_ca, old), (new_ca, new) = cas
    folder = tmp_path / "cas"
    folder.mkdir()
    link = subprocess.run(
        ["openssl", "x509", "-noout", "-hash", "-in", str(old_ca)], check=True, capture_output=True, text=True
    ).stdout.strip()
    # In place: the directory itself does not change.
    shutil.copy(old_ca, folder / f"{link}.0")
    with served(old) as before, served(new) as after:
        connect(host=before.url, extra={"verify": str(folder)})
        assert len(ask()) == 1
        (folder / f"{link}.0").write_bytes(new_ca.read_bytes() + b"\n")
        connect(host=after.url, extra={"verify": str(folder)})
        assert len(ask()) == 1
        connect(host=before.url, extra={"verify": str(folder)})
        with pytest.raises(e.RevorConnectionError, match="certificate verify failed"):
            ask()


@pytest.fixture
def loads(monkeypatch):
    """Each loading of a CA bundle."""
    seen = []
    load, load_default = ssl.SSLContext.load_verify_locations, ssl.SSLContext.load_default_certs

    def note(context, *args, **kwargs):
        seen.append((args, kwargs))
        return load(context, *args, **kwargs)

    def note_default(context, *args, **kwargs):
        seen.append((args, kwargs))
        return load_default(context, *args, **kwargs)

    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", note)
    monkeypatch.setattr(ssl.SSLContext, "load_default_certs", note_default)
    return seen


@both
def test_plain_http_loads_no_bundle(connect, loads, monkeypatch, ask):
    with served() as peer:
        connect(host=peer.url)
        # The bundle that another connection needs makes no difference.
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/no/such/file")
        assert len(ask()) == 1
    assert loads == []


def test_many_polls_load_a_bundle_once(connect, tmp_path, cas, loads):
    (ca, certificate), _ = cas
    with served(certificate) as peer:
        connect(host=peer.url, extra={"verify": str(ca)})
        for _ in range(5):
            assert len(list_async()) == 1
    assert len(loads) == 1


def test_a_proxy_that_speaks_tls_is_checked_against_the_same_bundle(connect, cas):
    """Awaited; requests checks no proxy's certificate on the way to an http:// host."""
    (ca, certificate), (other, _) = cas
    with served(certificate) as proxy:
        extra = {"proxies": proxy.url, "allow_http": True}
        connect(host="http://revor.test", extra={**extra, "verify": str(ca)})
        assert len(list_async()) == 1
        connect(host="http://revor.test", extra={**extra, "verify": str(other)})
        with pytest.raises(e.RevorConnectionError, match="certificate verify failed"):
            list_async()
