"""In a container, as root: the platform's launcher gives the image the cases of a request.

Folders stand in for its buckets. The loop over the cases is that of its command `invoke`, which
ends at the first failure; here the next case follows, as where it serves `/invocations`.
"""

import asyncio
import json
import os
import shutil
import sys
import tarfile
from base64 import b64encode
from pathlib import Path
from tarfile import TarFile
from types import ModuleType
from typing import Any

HOME = Path(__file__).parent
BUCKETS = HOME / "buckets"
SOURCE, TARGET = BUCKETS / "in", BUCKETS / "out"
FAR = "http://127.0.0.2:4743/health"  # only a server on all interfaces answers here
RESULT = ".sagemaker_shim/inference_result.json"


class Buckets:
    """The calls of S3 that the launcher makes."""

    async def download_file(self, *, Bucket: str, Key: str, Filename: Path) -> None:  # noqa: N803
        """Copy an object to a file."""
        shutil.copyfile(BUCKETS / Bucket / Key, Filename)

    async def download_fileobj(self, *, Bucket: str, Key: str, Fileobj: Any) -> None:  # noqa: ANN401, N803
        """Copy an object to a stream."""
        Fileobj.write((BUCKETS / Bucket / Key).read_bytes())

    async def upload_file(self, *, Bucket: str, Key: str, Filename: str) -> None:  # noqa: N803
        """Copy a file to an object."""
        shutil.copyfile(Filename, _new(BUCKETS / Bucket / Key))

    async def upload_fileobj(self, *, Bucket: str, Key: str, Fileobj: Any, **_: Any) -> None:  # noqa: ANN401, N803
        """Copy a stream to an object."""
        _new(BUCKETS / Bucket / Key).write_bytes(Fileobj.read())


def _new(path: Path) -> Path:
    """Make the folders of a path; the user outside may remove what is in them."""
    for folder in reversed(path.relative_to(BUCKETS).parents[:-1]):
        (BUCKETS / folder).mkdir(exist_ok=True)
        (BUCKETS / folder).chmod(0o777)
    return path


def _coded(words: list[str] | None) -> str:
    return b64encode(json.dumps(words).encode()).decode()


def _task(name: str, seconds: float) -> dict[str, Any]:
    """Return a case as the platform describes it to the launcher."""
    files = (path.relative_to(SOURCE) for path in (SOURCE / name).rglob("*") if path.is_file())
    return {
        "pk": name,
        "inputs": [
            {
                "relative_path": str(path.relative_to(name)),
                "bucket_name": SOURCE.name,
                "bucket_key": str(path),
            }
            for path in files
        ],
        "output_bucket_name": TARGET.name,
        "output_prefix": name,
        "timeout": seconds,
    }


async def _reached() -> int | str:
    """Return the status of the server at another address than the launcher asks."""
    import httpx

    try:
        async with httpx.AsyncClient() as client:
            return (await client.get(FAR, timeout=10)).status_code
    except httpx.HTTPError as error:
        return str(error)


async def drive(request: dict[str, Any]) -> None:
    """Start the program once, give it all cases, and write `results.json`."""
    from sagemaker_shim import models

    if not hasattr(tarfile, "data_filter"):  # Python 3.11.2 of Debian; the tarballs are ours
        models.ProcUserTarfile.extractall = lambda tar, path, **_: TarFile.extractall(tar, path)
    buckets = models.S3Resources(semaphore=asyncio.Semaphore(8), client=Buckets())
    auxiliary, process = models.AuxiliaryData(s3_resources=buckets), models.UserProcess()
    tasks = [_task(name, seconds) for name, seconds in request["seconds"].items()]
    results: dict[str, Any] = {"reached": None} if request["api"] == "invoke" else {}
    try:
        await auxiliary.setup()
        await process.setup()
        if request["api"] == "invoke":
            results["reached"] = await _reached()
        for task in models.InferenceTaskList.model_validate(tasks).root:
            await task.run_inference(user_process=process, s3_resources=buckets)
            path = TARGET / task.pk / RESULT
            result = json.loads(path.read_text())
            results[task.pk] = result["return_code"], result["user_safe_error_message"]
            shutil.rmtree(path.parent)
    except models.UserSafeError as error:  # of the start
        results |= dict.fromkeys(request["seconds"], (1, str(error)))
    finally:
        await auxiliary.teardown()
        await process.teardown()
    (BUCKETS / "results.json").write_text(json.dumps(results))


def main() -> None:
    """Set the variables of the platform, and begin."""
    request = json.loads((BUCKETS / "request.json").read_text())
    config = request["config"]
    words = {
        "API_METHOD": request["api"],
        "USER": config["User"],
        "ENTRYPOINT_B64J": _coded(config["Entrypoint"]),
        "CMD_B64J": _coded([request["api"]]),
        "HEALTH_CHECK_CALL_TIMEOUT_SECONDS": "1",  # and the wait between two
    }
    for name in ("model", "ground_truth"):
        if (SOURCE / f"{name}.tar.gz").is_file():
            words[name.upper()] = f"s3://{SOURCE.name}/{name}.tar.gz"
    os.environ |= {f"GRAND_CHALLENGE_COMPONENT_{key}": value for key, value in words.items()}
    for name in ("aioboto3", "botocore", "botocore.config"):  # they reach real buckets alone
        sys.modules[name] = ModuleType(name)
    sys.modules["botocore.config"].Config = dict  # type: ignore[attr-defined]
    sys.path.append(str(HOME / "packages"))  # those of the image come first
    asyncio.run(drive(request))


if __name__ == "__main__":
    main()
