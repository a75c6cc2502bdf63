"""What is really in the zips, and that nothing of the machine that made them is."""

from pathlib import Path

import pytest

from infra.aws import packaging
from infra.aws.names import STEPS
from infra.aws.packaging import OF_THE_RUNTIME, ROOT


def folder_of(stack, code: dict) -> Path:
    return stack.assets[code["S3Key"]]


@pytest.fixture(scope="module")
def layers(aws) -> dict[str, Path]:
    found = aws.all("AWS::Lambda::LayerVersion").values()
    return {each["LayerName"]: folder_of(aws, each["Content"]) for each in found}


@pytest.mark.parametrize("step", STEPS)
def test_the_zip_of_a_function_holds_its_handler(aws, local, step):
    for stack in (aws, local):
        folder = folder_of(stack, stack.function(step)["Code"])
        assert (folder / "functions" / step / "handler.py").is_file()
        assert (folder / "functions" / "__init__.py").is_file()


def test_the_shared_layer_holds_pfi_byte_for_byte(layers):
    shipped = {
        path.relative_to(layers["pfi-shared"] / "python").as_posix(): path.read_bytes()
        for path in layers["pfi-shared"].rglob("*")
        if path.is_file()
    }
    ours = {
        path.relative_to(ROOT / "shared").as_posix(): path.read_bytes()
        for path in (ROOT / "shared" / "pfi").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert "pfi/names.py" in shipped
    assert shipped == ours


def test_the_dependency_layer_is_of_the_runtimes_abi(layers):
    python = layers["pfi-dependencies"] / "python"
    assert list(python.glob("lxml/etree.cpython-313-aarch64-linux-gnu.so"))
    assert list(python.glob("pydantic_core/*.cpython-313-aarch64-linux-gnu.so"))
    assert (python / "aws_lambda_powertools").is_dir()
    compiled = {path.name for path in python.rglob("*.so")}
    assert not {name for name in compiled if "x86_64" in name or "cpython-311" in name}


def test_the_runtimes_own_sdk_is_not_shipped(layers):
    shipped = {path.name for path in (layers["pfi-dependencies"] / "python").iterdir()}
    assert not shipped & {"boto3", "botocore", "s3transfer", "urllib3", "dateutil"}


def test_the_layers_fit_into_a_function(aws, layers):
    total = sum(
        path.stat().st_size
        for folder in (*layers.values(), folder_of(aws, aws.function("push")["Code"]))
        for path in folder.rglob("*")
        if path.is_file()
    )
    assert total < 60_000_000  # AWS: 250 MB unpacked


def test_the_three_assets_are_three(aws):
    assert len(aws.assets) == 4  # functions, shared, dependencies, and the template itself
    assert len({path.name for path in aws.assets.values()}) == 4


def test_the_emulator_gets_no_layer_of_another_abi(local):
    names = [each["LayerName"] for each in local.all("AWS::Lambda::LayerVersion").values()]
    assert names == ["pfi-shared"]


def test_no_byte_code_is_shipped(aws):
    for folder in aws.assets.values():
        assert not [path for path in folder.rglob("*.pyc")]


def test_the_digest_follows_the_content_and_nothing_else(tmp_path):
    source = tmp_path / "functions" / "parse"
    source.mkdir(parents=True)
    (source / "handler.py").write_text("a = 1\n")
    first = packaging.functions(tmp_path)
    (source / "__pycache__").mkdir()
    (source / "__pycache__" / "handler.pyc").write_bytes(b"x")
    (source / ".hidden").write_text("x")
    assert packaging.functions(tmp_path) == first
    (source / "handler.py").write_text("a = 2\n")
    second = packaging.functions(tmp_path)
    assert second.digest != first.digest
    assert (second.folder / "functions/parse/handler.py").read_text() == "a = 2\n"


def test_files_are_readable_by_lambda_whatever_the_umask(tmp_path):
    source = tmp_path / "shared" / "pfi"
    source.mkdir(parents=True)
    (source / "x.py").write_text("")
    (source / "x.py").chmod(0o600)
    folder = packaging.shared(tmp_path).folder
    assert (folder / "python/pfi/x.py").stat().st_mode & 0o044 == 0o044
    assert folder.stat().st_mode & 0o055 == 0o055


def pins(lock: str) -> dict[str, str]:
    lines = (ROOT / lock).read_text().splitlines()
    named = [line.split()[0].split("==") for line in lines if "==" in line and line[0].isalpha()]
    return {name: version for name, version in named}


def test_functions_run_the_versions_that_were_tested():
    function, tested = pins("requirements-function.txt"), pins("requirements-dev.txt")
    assert {"lxml", "pydantic", "aws-lambda-powertools"} <= function.keys()
    shipped = {name: each for name, each in function.items() if name not in OF_THE_RUNTIME}
    assert shipped.items() <= tested.items()


@pytest.mark.parametrize(
    "lock", ["requirements-function.txt", "package-lock.json", "package.json", ".npmrc"]
)
def test_no_lock_names_a_registry(lock):
    assert "http" not in (ROOT / lock).read_text()
