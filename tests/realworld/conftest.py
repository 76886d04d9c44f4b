"""The installation of the end-to-end tests, for the conversions of this folder."""

from tests.e2e.conftest import empty_database, pytest_runtest_makereport, site

__all__ = ["empty_database", "pytest_runtest_makereport", "site"]
