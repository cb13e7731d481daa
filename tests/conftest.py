"""What every room's tests share: an Airflow home of their own, and where the real data lies."""

from __future__ import annotations

import os
import signal
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# A slow day is no failure: no deadline for an example, whatever the machine does beside.
settings.register_profile("tideline", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tideline")

# A shell that starts tests in the background has Ctrl-C ignored, and every process that they start would ignore it too.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Before any test module imports airflow: it reads its home at import, and the user's own must stay untouched.
_HOME = tempfile.mkdtemp(prefix="tideline-tests-airflow-")
os.environ.update(
    {
        "AIRFLOW_HOME": _HOME,
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "HF_HUB_OFFLINE": "1",
    }
)
for name in [name for name in os.environ if name.startswith("TIDELINE_")]:
    del os.environ[name]  # `make test` exports the defaults of `make run`
# Converted models and the measured backends, made once for all tests and test runs.
os.environ["TIDELINE_CACHE"] = str(Path(__file__).resolve().parents[1] / ".pytest_cache" / "tideline")

pytest_plugins = ["landing_home"]
DATASETS = Path(__file__).resolve().parents[2] / "shared" / "datasets"


@pytest.fixture(scope="session")
def datasets() -> Path:
    """Folder of the real data sets; skips where a clone has none."""
    if not DATASETS.is_dir():
        pytest.skip("the real data sets are not beside this checkout (../shared/datasets)")
    return DATASETS
