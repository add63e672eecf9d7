# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""No test sees the developer's AWS account, or any other machine."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import botocore.session
import pytest
from botocore.awsrequest import AWSResponse

from tests.support.clean_environment import NotLoopbackError, clean_environment, is_loopback, without_aws
from tests.support.emulators import client


@pytest.mark.aws("6.7")
def test_nothing_ambient_is_left_in_this_process():
    left = {name for name in os.environ if name.startswith("AWS_")}
    assert left == {"AWS_EC2_METADATA_DISABLED", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"}
    assert botocore.session.Session().get_credentials() is None


def test_the_developers_environment_comes_back(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("AWS_PROFILE", "mine")
    with clean_environment(tmp_path):
        assert "AWS_PROFILE" not in os.environ
    assert os.environ["AWS_PROFILE"] == "mine"


@pytest.mark.parametrize(
    "url", ["https://s3.amazonaws.com/", "http://169.254.169.254/", "http://localhost.example.com/"]
)
def test_botocore_cannot_leave_the_machine(url: str):
    with pytest.raises(NotLoopbackError, match="must not reach"):
        client(url, "s3").list_buckets()


def test_an_answer_from_a_hook_needs_no_machine():
    s3 = botocore.session.Session().create_client(
        "s3", region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b"
    )
    s3.meta.events.register("before-send", lambda request, **_: AWSResponse(request.url, 200, {}, NoBytes()))
    assert s3.head_bucket(Bucket="some-bucket")["ResponseMetadata"]["HTTPStatusCode"] == 200


class NoBytes:
    def stream(self, *_: object, **__: object) -> list[bytes]:
        return []


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://127.0.0.1:4566/b", True),
        ("http://[::1]:4566", True),
        ("http://bucket.localhost:4566", True),
        ("http://10.0.0.1", False),
        ("http://127.0.0.1.example.com", False),
        ("nonsense", False),
    ],
)
def test_loopback_is_judged_by_the_host(url: str, expected: bool):
    assert is_loopback(url) is expected


def test_a_subprocess_finds_no_credentials_and_an_empty_home(tmp_path: Path):
    ambient = {"PATH": os.environ["PATH"], "AWS_PROFILE": "mine", "AWS_ACCESS_KEY_ID": "AKIAREAL", "HOME": "/home/me"}
    ask = "import botocore.session as s, os; print(s.Session().get_credentials(), os.path.expanduser('~'))"
    answer = subprocess.run(
        [sys.executable, "-c", ask], env=without_aws(ambient, tmp_path), capture_output=True, text=True, check=True
    )
    assert answer.stdout.split() == ["None", str(tmp_path)]
