#!/usr/bin/env python3
# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""As much of the AWS CLI as commands of an audit use: aws <service> <operation> --<option> <value> ..."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

SERVICES = {"s3api": "s3"}
#: How the CLI reaches AWS, and what it shows.
GLOBAL = ("--region", "--endpoint-url", "--profile", "--query", "--output")


def call(words: Sequence[str], client: Callable[[str, dict[str, str]], Any]) -> Any:
    """The answer to a command; `client` gives a client of a service for the global options."""
    service, operation, *rest = words
    options = dict(zip(rest[::2], rest[1::2], strict=True))
    shared = {name: options.pop(name) for name in GLOBAL if name in options}
    params = {_member(name): _value(text) for name, text in options.items()}
    answer = getattr(client(SERVICES.get(service, service), shared), operation.replace("-", "_"))(**params)
    return answer.get(shared["--query"]) if "--query" in shared else answer


def _member(option: str) -> str:
    words = option.removeprefix("--").split("-")
    return "".join({"acl": "ACL", "mfa": "MFA"}.get(word, word.capitalize()) for word in words)


def _value(text: str) -> Any:
    """JSON, the short form of it, or text. A policy is text of JSON."""
    if text[:1] in "{[":
        return text if text.startswith('{"Version"') else json.loads(text)
    pairs = [each.partition("=") for each in text.split(",")]
    return {name: _scalar(each) for name, _is, each in pairs} if "=" in text else text


def _scalar(text: str) -> Any:
    return int(text) if text.isdigit() else {"true": True, "false": False}.get(text, text)


def main() -> None:
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    from tests.support.emulators import client

    def of_emulator(service: str, shared: dict[str, str]) -> Any:
        return client(shared["--endpoint-url"], service, region=shared["--region"])

    answer = call(sys.argv[1:], of_emulator)
    print(answer if isinstance(answer, str) else json.dumps(answer, default=str))


if __name__ == "__main__":
    main()
