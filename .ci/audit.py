"""Known vulnerabilities of all installed packages, by pip-audit.

    python .ci/audit.py PYTHON

PYTHON is the interpreter of the environment that is audited. The exit status is 1 where a package
has a known vulnerability. Where the registry offers no vulnerability service, or cannot be reached,
a message says so, and the status is 0: there is nothing to go by.
"""

from __future__ import annotations

import json
import subprocess
import sys

OURS = "cascade-taxonomy"  # on no registry


def main() -> None:
    """Audit, and tell."""
    where = "import sysconfig; print(sysconfig.get_paths()['purelib'])"
    site = subprocess.run(
        [sys.argv[1], "-c", where], check=True, capture_output=True, text=True
    ).stdout.strip()
    command = [sys.executable, "-m", "pip_audit", "--path", site, "--format", "json"]
    command += ["--progress-spinner", "off", "--timeout", "15"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=600)
        packages = json.loads(done.stdout)["dependencies"]
    except (subprocess.TimeoutExpired, ValueError, KeyError):
        print("audit: the registry's vulnerability service does not answer; nothing was audited")
        return
    asked = [package for package in packages if package["name"] != OURS]
    skipped = [package["name"] for package in asked if "vulns" not in package]
    found = [package for package in asked if package.get("vulns")]
    for package in found:
        for known in package["vulns"]:
            fixed = ", ".join(known["fix_versions"]) or "no version yet"
            print(f"{package['name']} {package['version']}: {known['id']}, mended in {fixed}")
    if len(skipped) == len(asked):
        print("audit: the registry knows no vulnerabilities of any package; nothing was audited")
        return
    print(f"audit: {len(asked) - len(skipped)} packages audited, {len(found)} vulnerable", end="")
    print(f"; not known to the service: {', '.join(skipped)}" if skipped else "")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
