# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

LOCK = {"LockID": {"S": "b/k"}}
DIGEST = {"LockID": {"S": "b/k-md5"}, "Digest": {"S": "d41d"}}

READS = {
    "nothing": ({}, {"locks": [], "digests": []}),
    "what has a digest is none": (
        {"Items": [DIGEST, LOCK]},
        {"locks": ["b/k"], "digests": ["b/k-md5"]},
    ),
    "a table of another key is no error": (
        {"Items": [{"id": {"N": "1"}}, {"LockID": {"N": "1"}}]},
        {"locks": ["?", "?"], "digests": []},
    ),
}
DESIRES = {"only the end of the table ends it": ({}, {"locks": ["b/k"]}, {"locks": ["b/k"]})}
CALLS = {"it goes with the table": ({"locks": ["b/k"]}, {"locks": []}, [])}
