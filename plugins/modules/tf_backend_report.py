#!/usr/bin/python
# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: tf_backend_report
short_description: Report on the audits of all backends of a play
version_added: 0.2.0
description:
  - Takes what M(cornerstone.tfstate.tf_backend_audit) registered as C(__terraform_backend_audit) on every host of the
    play, and writes it as C(audit.json), C(audit.md) and C(audit.html), with what the fleet costs as
    C(cost.md). It prints an overview besides, unless the callback plugin of the run writes JSON (such as
    C(ansible.posix.json) and C(ansible.posix.jsonl)).
  - A host without such a result is reported as one that could not be audited.
  - With O(code), Terraform code is read once and compared with all backends. AWS is asked for one thing only, whether
    tables exist that code names and no backend has. That is done from the controller, by the role's variables of the
    host whose bucket the code uses.
  - O(severities), O(disabled) and O(waivers) apply to findings in the code. The audits have judged the rest.
  - The page needs nothing but itself. It can be mailed, or kept as an artifact of a pipeline.
  - This is an action plugin. Nothing runs on the host. Run it once for all hosts.
author:
  - cornerstone.tfstate contributors (@cornerstone-tfstate)
extends_documentation_fragment:
  - cornerstone.tfstate.code
  - cornerstone.tfstate.tuning
attributes:
  check_mode:
    description: Can run in check mode, and then writes no file.
    support: full
  diff_mode:
    description: Shows what would change.
    support: none
  platform:
    description: Where it runs.
    platforms: posix
    support: full
  idempotent:
    description: Running it again changes nothing.
    support: none
    details:
      - The report says when it was made.
  action:
    description: Has an action plugin of its name.
    support: full
options:
  directory:
    description:
      - Where the report is written, on the controller. New files have mode C(0600), as they name who holds locks and
        what lacks protection. A file that is there keeps its mode.
      - Not given, nothing is written.
      - A relative path is relative to the playbook, and in a playbook of this collection to the current folder.
    type: path
  code:
    description:
      - Directories of Terraform or OpenTofu code on the controller, as in
        O(cornerstone.tfstate.tf_backend_audit#module:code). A backend that none of it names is a finding, and so is
        code that names a backend which is not audited.
      - Not given, no code is read.
  fail_on:
    description:
      - What is as bad, or worse, and not waived makes RV(failing) name its host. The task itself does not fail.
      - Not given, or V(never), no host is named.
seealso:
  - module: cornerstone.tfstate.tf_backend_audit
"""

EXAMPLES = r"""
- name: Audit the backend
  cornerstone.tfstate.tf_backend_audit:
    region: us-east-1
    bucket: usest1-terraform-state-ezra
  register: __terraform_backend_audit

- name: Report on all backends
  cornerstone.tfstate.tf_backend_report:
    directory: audit
    fail_on: high
  register: report
  run_once: true

- name: Say what must not be
  ansible.builtin.debug:
    msg: "{{ report.failing[inventory_hostname] | default('nothing') }}"
"""

RETURN = r"""
files:
  description: The files that were written, or in check mode would be.
  returned: success
  type: list
  elements: str
  sample: [/home/ana/audit/audit.json, /home/ana/audit/audit.md, /home/ana/audit/cost.md, /home/ana/audit/audit.html]
created:
  description: When the report was made.
  returned: success
  type: str
  sample: 2026-11-20 09:30 UTC
backends:
  description: What C(audit.json) says of each backend, with its findings in settings, contents and code.
  returned: success
  type: list
  elements: dict
  sample: [{name: us-east-1, region: us-east-1, status: critical, layers: 3, findings: [{id: table.missing}]}]
others:
  description: Findings that belong to no backend of the play.
  returned: success
  type: list
  elements: dict
  sample: [{id: code.not_audited, severity: medium, resource: network/main.tf}]
counts:
  description: How many findings of each severity there are that are not waived.
  returned: success
  type: dict
  sample: {critical: 1, high: 0, medium: 2, low: 0, info: 4}
unknown:
  description:
    - Places in the code that may be clients of the backend, and do not say for certain. None without O(code).
  returned: success
  type: list
  elements: dict
  sample: [{path: network/main.tf, reason: "it names no bucket: only the command line of its init does"}]
code_known:
  description: O(code_known) as it was given, with the number of unknown backends that each entry was used for.
  returned: success
  type: list
  elements: dict
  sample: [{paths: network/**, backend: none, used: 1}]
failing:
  description: Why which hosts shall fail. What belongs to no backend of the play is the first one's.
  returned: success
  type: dict
  sample: {us-east-1: "critical: No state locking: the lock table does not exist (terraform-locks-us-east-1)"}
"""
