# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keep tests away from the developer's AWS account: no ambient credentials, no endpoint but this machine."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import botocore.httpsession
import pytest


class NotLoopbackError(RuntimeError):
    """A test tried to talk to another machine."""


def without_aws(environ: Mapping[str, str], home: Path) -> dict[str, str]:
    """The environment for a test's subprocess: nothing of AWS in it, and an empty home."""
    kept = {name: value for name, value in environ.items() if not name.startswith("AWS_")}
    return kept | _seal(home) | {"HOME": str(home)}


def _seal(home: Path) -> dict[str, str]:
    return {
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": str(home / "no-aws-config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(home / "no-aws-credentials"),
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
    }


def is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


@contextmanager
def clean_environment(home: Path) -> Iterator[None]:
    """This process without AWS_* variables, and with a botocore that refuses to leave the machine.

    Answers given by botocore's own `before-send` hooks pass, whatever their URL: they never reach a socket.
    """
    send = botocore.httpsession.URLLib3Session.send

    def send_to_loopback(session: Any, request: Any) -> Any:
        if not is_loopback(request.url):
            raise NotLoopbackError(f"a test must not reach {request.url}")
        return send(session, request)

    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        for name, value in _seal(home).items():
            patch.setenv(name, value)
        patch.setattr(botocore.httpsession.URLLib3Session, "send", send_to_loopback)
        yield
