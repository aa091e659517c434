#!/usr/bin/env python3
"""Compiles every public header alone with Clang, without any -m flag, and ends with status 1 when one does not.

Most of the time goes into a few headers of other libraries. A header that includes one of them, itself or through others,
would read it in any case: such headers begin from a precompiled one that holds just those, and are still alone but for it.
Headers that need the CUDA toolkit are left out.
"""
import argparse
import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys
import tempfile

LARGE = ("algorithm", "filesystem", "span", "string", "Eigen/Core", "nlohmann/json.hpp", "xsimd/xsimd.hpp")
CUDA = re.compile(r"^(cuda|cublas)\w*\.h$|\.cu$")
FLAGS = "-std=c++20 -fopenmp -O0 -g0 -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror".split()


def includes(header, root, known):
    """Every header that `header` includes, itself or through others of ours."""
    if header not in known:
        known[header] = set()  # ours have no circles, but must not hang here either
        named = re.findall(r'^#include ["<](.+)[">]', (root / header).read_text(), re.MULTILINE)
        known[header] = set(named).union(*(includes(name, root, known) for name in named if (root / name).exists()))
    return known[header]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("include", type=pathlib.Path, help="the folder of headers")
    parser.add_argument("build", type=pathlib.Path, help="where precompiled headers lie meanwhile; made when it is missing")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="compilers at once (default: the cores)")
    options = parser.parse_args()
    command = [os.environ.get("CLANG", "clang++"), *FLAGS, "-I", str(options.include), "-isystem", "/usr/include/eigen3"]
    known, large_of = {}, {}
    headers = sorted(str(path.relative_to(options.include)) for path in options.include.rglob("*") if path.suffix in (".hpp", ".cuh"))
    for header in headers:
        read = includes(header, options.include, known)
        if not any(CUDA.search(name) for name in read):
            large_of[header] = tuple(name for name in LARGE if name in read)

    options.build.mkdir(parents=True, exist_ok=True)
    folder = tempfile.TemporaryDirectory(dir=options.build)

    def precompiled(large):
        return pathlib.Path(folder.name) / ("_".join(re.sub(r"\W.*", "", name) for name in large) + ".hpp")

    def run(source, *flags):
        return subprocess.run([*command, *flags], input=source, capture_output=True, text=True)

    def precompile(large):
        source = precompiled(large)
        source.write_text("".join(f"#include <{name}>\n" for name in large))
        # Without -fpch-instantiate-templates every user would instantiate the templates of JSON again: a second each.
        return run("", "-fpch-instantiate-templates", "-x", "c++-header", str(source), "-o", f"{source}.pch")

    def compile_alone(header):
        large = large_of[header]
        begin = ("-include-pch", f"{precompiled(large)}.pch") if large else ()
        return run(f'#include "{header}"\n', *begin, "-x", "c++", "-fsyntax-only", "-")

    failures = 0
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for result in pool.map(precompile, {large for large in large_of.values() if large}):
            if result.returncode:
                sys.exit(result.stderr)
        for header, result in zip(large_of, pool.map(compile_alone, large_of)):
            if result.returncode:
                failures += 1
                print(f"{header} does not compile alone:\n{result.stderr}")
    print(f"{len(large_of)} headers, {failures} of them not alone")
    sys.exit(min(failures, 1))


if __name__ == "__main__":
    main()
