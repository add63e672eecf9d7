# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A process without threads that has loaded Ansible, and forks for each of its commands. See ansible_commands.py.

    python ansible_launcher.py      a command a line in, its exit code a line out, as JSON

Loaded are Ansible with its plugins and libraries of others, nothing of the collection: each command loads it by
Ansible's own loader. What every command would read and parse again, and find the same, is parsed here: the routing of
ansible.builtin, the models of AWS's services, the source of the collection's files, its dataclasses and its patterns.
"""

from __future__ import annotations

import atexit
import contextlib
import dataclasses
import gc
import json
import os
import re
import sys
from collections.abc import Callable
from functools import lru_cache
from importlib import import_module
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType
from typing import Any

sys.path[0] = str(Path(sys.executable).parent)  # as for a command; not the folder of this file

from ansible import constants as C  # noqa: E402
from ansible.config.manager import find_ini_config_file  # noqa: E402
from ansible.plugins import loader as loaders  # noqa: E402
from ansible.utils.collection_loader import _collection_finder, _collection_meta  # noqa: E402
from ansible.utils.display import Display  # noqa: E402
from botocore.loaders import JSONFileLoader, Loader, create_loader  # noqa: E402

MODULES = {"ansible-playbook": "playbook", "ansible-inventory": "inventory", "ansible": "adhoc"}
MAINS = {name: import_module(f"ansible.cli.{module}").main for name, module in MODULES.items()}
LIBRARIES = ("boto3", "botocore.session", "botocore.handlers", "cryptography.fernet", "jinja2.nativetypes")
LIBRARIES += ("multiprocessing.popen_fork", "multiprocessing.synchronize", "tomllib", "xml.dom.minidom", "xml.sax")
PLUGINS = ("strategy.linear", "callback.default", "connection.local", "action.normal", "shell.sh", "cache.memory")
PLUGINS += ("vars.host_group_vars", "action.debug", "action.assert", "action.set_fact", "action.include_vars")
#: Of each of these a command loads all plugins, with their documentation.
LOADERS = (loaders.connection_loader, loaders.shell_loader, loaders.become_loader, loaders.callback_loader)
KINDS = {"action", "callback", "filter", "inventory", "lookup"}
FOLDER = Path(__file__).parents[2] / "plugins"
SERVICES = ("s3", "dynamodb", "sts", "kms")
DATA = ("endpoints", "partitions", "sdk-default-configuration", "_retry")


def main() -> None:
    for name in (*LIBRARIES, "ansible.executor.process.worker", *(f"ansible.plugins.{each}" for each in PLUGINS)):
        import_module(name)
    _remember()
    _load_plugins()
    _load_collection()
    gc.collect()
    gc.freeze()  # otherwise the garbage collector of every command copies all these pages
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as answers:
        os.dup2(2, 1)
        for line in sys.stdin:
            child = os.fork()
            if child == 0:
                answers.close()
                _command(json.loads(line))
            _pid, status = os.waitpid(child, 0)
            print(os.waitstatus_to_exitcode(status), file=answers, flush=True)


def _remember() -> None:
    """What is read from text or a file is parsed once; other text and other files are parsed as usual."""
    parse, load, look = _collection_meta._meta_yml_to_dict, JSONFileLoader.load_file, Loader.list_available_services
    routing: dict[Any, Any] = {}
    models: dict[str, Any] = {}
    services: dict[Any, list[str]] = {}

    def parsed(text: str | bytes, content_id: Any) -> Any:
        if text not in routing:
            routing[text] = parse(text, content_id)
        return dict(routing[text])

    def loaded(self: JSONFileLoader, path: str) -> Any:
        if path not in models:
            models[path] = load(self, path)
        return models[path]

    def listed(self: Loader, type_name: str) -> list[str]:
        key = (*self.search_paths, type_name)
        if key not in services:
            services[key] = look(self, type_name)
        return services[key]

    _collection_meta._meta_yml_to_dict = _collection_finder._meta_yml_to_dict = parsed
    JSONFileLoader.load_file, Loader.list_available_services = loaded, listed
    _collection_finder._AnsibleCollectionPkgLoaderBase.get_code = _compiled(
        _collection_finder._AnsibleCollectionPkgLoaderBase.get_code
    )
    for service in SERVICES:
        for kind in ("service-2", "endpoint-rule-set-1"):
            create_loader().load_service_model(service, kind)
    for name in DATA:
        create_loader().load_data(name)


def _compiled(get_code: Callable[[Any, str], CodeType | None]) -> Callable[[Any, str], CodeType | None]:
    """Ansible compiles every file of a collection again in every process. The same source gives the same code."""
    codes: dict[bytes, CodeType] = {}
    in_files: dict[tuple[str, bytes], CodeType] = {}
    for path in sorted(FOLDER.rglob("*.py")):
        code = SourceFileLoader("any", str(path)).get_code("any")
        if code:
            codes[path.read_bytes()] = code

    def get(self: Any, name: str) -> CodeType | None:
        file, source = self.get_filename(name), self.get_source(name)
        if self._compiled_code or source not in codes:
            return get_code(self, name)
        if (file, source) not in in_files:
            in_files[file, source] = _in_file(codes[source], file)
        self._compiled_code = in_files[file, source]
        return self._compiled_code

    return get


def _in_file(code: CodeType, file: str) -> CodeType:
    inner = tuple(_in_file(each, file) if isinstance(each, CodeType) else each for each in code.co_consts)
    return code.replace(co_filename=file, co_consts=inner)


def _load_plugins() -> None:
    """Of ansible-core alone. Then the finder of collections goes: each command has one for its own paths."""
    finder = _collection_finder._AnsibleCollectionFinder([str(Path(loaders._internal.__file__).parent)], False)
    finder._install()
    loaders._load_plugin_filter()
    for loader in LOADERS:
        list(loader.all(class_only=True))
    for loader in (loaders.filter_loader, loaders.test_loader):
        loader._ensure_non_collection_wrappers()
    _forget(finder)
    display = Display()
    for said in (display._warns, display._deprecations, display._errors):
        said.clear()


def _load_collection() -> None:
    """Once, where it is installed for tests, for what that parses. Its modules go again, and are loaded as usual."""
    compiled = lru_cache(None)(lambda text: compile(text, "<string>", "exec", dont_inherit=True))
    vars(dataclasses)["exec"] = lambda text, *scopes: exec(compiled(text), *scopes)
    vars(re)["_MAXCACHE"] = 4096
    finder = _collection_finder._AnsibleCollectionFinder([], True)
    finder._install()
    for path in sorted(FOLDER.glob("*/*.py")):
        if path.parent.name in KINDS and path.stem != "__init__":
            with contextlib.suppress(ImportError):
                import_module(f"ansible_collections.cornerstone.tfstate.plugins.{path.parent.name}.{path.stem}")
    _forget(finder)


def _forget(finder: Any) -> None:
    finder._remove()
    for name in [each for each in sys.modules if each.split(".")[0] == "ansible_collections"]:
        del sys.modules[name]


def _command(asked: dict[str, Any]) -> None:
    """As the program of this name would begin and end."""
    code = 1
    atexit._clear()  # what the launcher has to tidy up
    try:
        for number, (path, flags) in enumerate(
            ((os.devnull, os.O_RDONLY), *((each, _WRITE) for each in asked["outputs"]))
        ):
            opened = os.open(path, flags, 0o600)
            os.dup2(opened, number)
            os.close(opened)
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
        os.chdir(asked["cwd"])
        os.environ.clear()
        os.environ.update(asked["environment"])
        sys.argv = asked["command"]
        _read_settings()
        MAINS[Path(sys.argv[0]).name]()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    finally:
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


_WRITE = os.O_WRONLY | os.O_CREAT | os.O_APPEND


def _read_settings() -> None:
    """Once more, for those that depend on the home and the working directory."""
    C.config._config_file = find_ini_config_file([])
    if C.config._config_file:
        C.config._parse_config_file()
    for setting in C.config.get_configuration_definitions():
        C.set_constant(setting, C.config.get_config_value(setting, variables=vars(C)))


if __name__ == "__main__":
    main()
