# SPDX-License-Identifier: BSD-2-Clause
"""Everything that proves the project, in one run; ends with `N passed, N failed`.

    run.py [--quick] [STEP...]      steps: checks release clang asan fuzz integration lab (all, in this order, by default)
                                    --quick leaves out clang, fuzz and lab
"""
import os
import re
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PYTHON = "/usr/bin/python3"
FUZZ_SECONDS = int(os.environ.get("MSP_FUZZ_SECONDS", "4"))  # for each target


class Tally:
    def __init__(self):
        self.passed = self.failed = 0

    def add(self, passed, failed):
        self.passed += passed
        self.failed += failed
        return passed, failed


def call(argv, env=None, quiet=True):
    """(exit status, output). Output is shown when it failed, or as it comes when not quiet."""
    full = dict(os.environ, **(env or {}))
    p = subprocess.Popen(argv, cwd=ROOT, env=full, text=True, errors="replace",
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
    lines = []
    for line in p.stdout:
        lines.append(line)
        if not quiet:
            sys.stdout.write(line)
            sys.stdout.flush()
    return p.wait(), "".join(lines)


def tail(text, lines=80):
    return "\n".join(text.splitlines()[-lines:])


def build(preset):
    status, out = call(["tools/lib/build.sh", preset])
    if status != 0:
        print(out)
    return status == 0


def checks():
    passed = failed = 0
    for script, self_tests in (("check-layers", True), ("check-bans", True), ("check-headers", False), ("check-format", False)):
        for args in ([], ["--self-test"]) if self_tests else ([],):
            status, out = call([f"tools/{script}", *args])
            passed, failed = passed + (status == 0), failed + (status != 0)
            if status != 0:
                print(out)
    return passed, failed


def ctest(preset, extra=()):
    """Count cmocka's test functions where a program has them, else the program."""
    status, out = call(["ctest", "--preset", preset, "-V", "-j2", *extra])
    functions = {}  # ctest number -> [passed, failed] as cmocka tells
    passed = failed = 0
    for line in out.splitlines():
        m = re.match(r"(\d+): \[  (PASSED|FAILED)  \] (\d+) test\(s\)", line)
        if m:
            functions.setdefault(m[1], [0, 0])[m[2] == "FAILED"] += int(m[3])
        m = re.match(r"\s*\d+/\d+ Test\s+#(\d+): (\S+) \.*\s*(\S+)", line)
        if m:
            good, bad = functions.get(m[1], [0, 0])
            ok = m[3] == "Passed"
            passed += good if good else int(ok)
            failed += bad if bad else int(not ok)
            if not ok:
                print(f"FAILED {preset} {m[2]}")
    if status != 0:
        failed = max(failed, 1)
        print(tail("\n".join(x for x in out.splitlines() if re.search(r"FAIL|ERROR|error|Assert|runtime|: 0x|rror:", x))))
    if passed + failed == 0:
        failed = 1
        print(tail(out))
    return passed, failed


def unit(preset):
    return ctest(preset) if build(preset) else (0, 1)


def fuzz():
    """A few seconds of new inputs for each parser; the corpora replay in every unit run anyway."""
    if not build("fuzz"):
        return 0, 1
    directory = os.path.join(ROOT, "build", "fuzz", "tests")
    passed = failed = 0
    for name in sorted(os.listdir(directory)):
        if not name.startswith("fuzz_") or not os.access(os.path.join(directory, name), os.X_OK):
            continue
        corpus = os.path.join(ROOT, "tests", "fuzz", "corpus", name[len("fuzz_"):])
        fresh = os.path.join(directory, f"fresh-{name}")
        os.makedirs(fresh, exist_ok=True)
        status, out = call([os.path.join(directory, name), f"-max_total_time={FUZZ_SECONDS}", "-timeout=10", "-rss_limit_mb=2048",
                            f"-artifact_prefix={fresh}/", "-print_final_stats=0", fresh, corpus])
        passed, failed = passed + (status == 0), failed + (status != 0)
        if status != 0:
            print(f"FAILED {name}")
            print(tail(out, 40))
    return (passed, failed) if passed + failed else (0, 1)


def pytest(paths, build_dir, quiet=True):
    status, out = call([PYTHON, "-B", "-m", "pytest", "-q", "-ra", "-p", "no:cacheprovider", *paths],
                       env={"MSP_BUILD": os.path.join(ROOT, "build", build_dir)}, quiet=quiet)
    last = out.strip().splitlines()[-1] if out.strip() else ""
    count = {w: int(n) for n, w in re.findall(r"(\d+) (passed|failed|error|errors|skipped)", last)}
    passed = count.get("passed", 0)
    # A skipped test is one that did not show what it should: it counts as failed.
    failed = count.get("failed", 0) + count.get("error", 0) + count.get("errors", 0) + count.get("skipped", 0)
    if status != 0 and failed == 0:
        failed = 1
    if failed:
        print(tail(out, 150))
    return passed, failed


def integration():
    if not (build("release")):
        return 0, 1
    base = os.path.join("tests", "integration")
    stories = [os.path.join(base, d) for d in sorted(os.listdir(os.path.join(ROOT, base)))
               if d != "lab" and os.path.isdir(os.path.join(ROOT, base, d)) and not d.startswith("_")]
    return pytest([*stories, os.path.join("tests", "bench")], "release")


def lab():
    if not build("release"):
        return 0, 1
    return pytest([os.path.join("tests", "integration", "lab")], "release", quiet=False)


STEPS = {
    "checks": checks,
    "release": lambda: unit("release"),
    "clang": lambda: unit("clang"),
    "asan": lambda: unit("asan"),
    "fuzz": fuzz,
    "integration": integration,
    "lab": lab,
}


def main(argv):
    wanted = [a for a in argv if not a.startswith("-")] or list(STEPS)
    if "--quick" in argv:
        wanted = [s for s in wanted if s not in ("clang", "fuzz", "lab")]
    unknown = [s for s in wanted if s not in STEPS]
    if unknown:
        print(__doc__)
        return 2
    tally = Tally()
    for step in wanted:
        start = time.monotonic()
        print(f"== {step}", flush=True)
        passed, failed = tally.add(*STEPS[step]())
        print(f"== {step}: {passed} passed, {failed} failed, {time.monotonic() - start:.0f} s", flush=True)
    print(f"{tally.passed} passed, {tally.failed} failed")
    return 1 if tally.failed or not tally.passed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
