# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations


class ModuleDocFragment:
    """How to reach AWS, with the option names of amazon.aws."""

    DOCUMENTATION = r"""
options:
  region:
    description:
      - The AWS region of the resource, such as V(af-south-1). The work is done through this region's endpoints.
      - If omitted, it is taken from E(AWS_REGION), then from E(AWS_DEFAULT_REGION), then from the profile that
        O(profile) or E(AWS_PROFILE) names. The region of the profile C(default) is used only if you name that profile,
        as it is about no backend in particular. Without any of them the task fails.
        M(cornerstone.tfstate.tf_backend_restore) does not read the region of a profile.
      - If the region came from a profile, the result has C(region_source), and the message of a failure says so.
        A bucket that exists in another region is refused.
      - An opt-in region must be enabled in the account first.
    type: str
    aliases: [aws_region]
  profile:
    description:
      - A named profile of the AWS configuration files. SSO profiles work after C(aws sso login).
      - It beats all credentials in the environment. Not given, E(AWS_PROFILE) may name one.
    type: str
    aliases: [aws_profile]
  access_key:
    description:
      - The id of an AWS access key.
      - With it the environment is out of play. E(AWS_PROFILE) and E(AWS_SESSION_TOKEN) are not read.
      - Not given, credentials are found as the AWS command line finds them. First E(AWS_ACCESS_KEY_ID),
        then profile, SSO and web identity, then the role of the machine.
    type: str
    aliases: [aws_access_key_id, aws_access_key]
  secret_key:
    description:
      - The secret of O(access_key).
      - Keep it out of playbooks, in Ansible Vault or in the environment.
    type: str
    aliases: [aws_secret_access_key, aws_secret_key]
  session_token:
    description:
      - The session token of O(access_key), for temporary credentials. Without O(access_key) it is not used.
    type: str
    aliases: [aws_session_token, security_token]
  assume_role_arn:
    description:
      - The ARN of a role to assume with the credentials found. Everything is then done as that role.
      - Not given, the credentials are used as they are.
    type: str
  assume_role_external_id:
    description:
      - The external id that the role's trust policy asks for.
    type: str
  assume_role_session_name:
    description:
      - The name of the session of O(assume_role_arn), as AWS CloudTrail shows it. Not given, botocore makes one up.
    type: str
  endpoint_url:
    description:
      - The URL of every service used, in place of AWS. Meant for emulators of AWS.
      - It beats E(AWS_ENDPOINT_URL) and E(AWS_ENDPOINT_URL_S3) and the like, which botocore reads otherwise.
      - If the store takes a setting and does not keep it, a warning says what it keeps instead. The result has that.
        A setting that the store does not have can be left out with C(unmanaged) where the module has that option.
    type: str
    aliases: [aws_endpoint_url]
  validate_certs:
    description:
      - V(false) accepts any TLS certificate, so that anybody between here and AWS can read and change requests.
        Use O(aws_ca_bundle) instead.
      - It has no effect together with O(aws_ca_bundle).
    type: bool
    default: true
  aws_ca_bundle:
    description:
      - A file of CA certificates to check TLS certificates with. It beats E(AWS_CA_BUNDLE).
    type: path
  aws_config:
    description:
      - Settings for C(botocore.config.Config), by name. They beat those that the module makes.
      - See U(https://botocore.amazonaws.com/v1/documentation/api/latest/reference/config.html).
    type: dict
  cache_credentials:
    description:
      - Keep the credentials of assumed roles in C(~/.aws/cli/cache), where the AWS command line keeps them, readable
        for the owner only. So a run over many backends assumes each role once.
      - Keep there, too, whose account an access key belongs to. So a run asks AWS STS for it once.
      - V(false) assumes the role, and asks for the account, again for every task.
    type: bool
    default: true
  debug_botocore_endpoint_logs:
    description:
      - Return which actions AWS was asked for, each once, as C(resource_actions), such as V(s3:GetBucketPolicy). The
        callback plugin C(amazon.aws.aws_resource_actions) prints those of a whole playbook.
      - If omitted, E(ANSIBLE_DEBUG_BOTOCORE_LOGS) says it.
    type: bool
    default: false
  wait_timeout:
    description:
      - How many seconds AWS gets to carry out what was written, and to stop answering that it is busy.
      - It bounds attempts to connect, of at most 5 seconds, and to get an answer, of at most half of it and 30 seconds,
        and of 5 in any case. A host that has not answered at all is given up after three attempts to connect.
    type: int
    default: 300
requirements:
  - python >= 3.10
  - botocore >= 1.40
notes:
  - An option that is blank or null is not set, as in the modules of C(amazon.aws). So are blanks within a list.
    A tag may be blank.
  - A blank that would lower a protection is refused, and named. This is so for every C(account_id), for C(table),
    C(key) and C(keys) where states or locks are written, and for what limits or proves a task, such as C(fail_on),
    C(lock_id) and C(verify_plan). Leave such an option out, or set it to C(omit) or null.
  - Text that YAML takes for a number, a date or a boolean is refused. Put quotes around it, such as in
    C(account_id) with a leading zero.
  - O(access_key) cannot be combined with O(profile), and needs O(secret_key).
    What a task says beats the environment, and the environment beats the configuration files.
  - The environment and the AWS configuration files are those of the machine that runs the module.
    With C(ansible_connection=local) that is the controller.
  - The defaults group C(amazon.aws.aws) does not reach this module.
    Use C(group/cornerstone.tfstate.tfstate) in C(module_defaults).
    The role P(cornerstone.tfstate.terraform_backend#role) takes it, too. Its variables win over it.
  - The values of O(secret_key), O(session_token) and O(assume_role_external_id) are hidden in results. Where such a
    value is part of a name that you gave in another option, such as the name of a bucket, the name stays whole.
"""
