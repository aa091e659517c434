#!/usr/bin/env python3
"""Compiles every public header alone with Clang, without any -m flag, and ends with status 1 when one does not.

Two things save most of the time, and a header is still alone with either, for it would read what comes before it in any case:
- A header that includes large headers of other libraries, itself or through others, begins from a precompiled one of those.
- A header is compiled behind one that it includes, that behind one that it includes itself, and so on: one compiler checks
  such a chain in the time of its last.
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


def chains(large_of, known):
    """Every header in one list, each list beginning with its last to compile: all behind it are included by it."""
    left = sorted(large_of, key=lambda header: (-len(known[header]), header))
    while left:
        chain = [left.pop(0)]
        for header in list(left):
            if header in known[chain[-1]] and large_of[header] == large_of[chain[-1]]:
                chain.append(header)
                left.remove(header)
        yield chain


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

    def compile_chain(chain):
        large = large_of[chain[0]]
        begin = ("-include-pch", f"{precompiled(large)}.pch") if large else ()
        source = "".join(f'#include "{header}"\n' for header in reversed(chain))
        return run(source, *begin, "-x", "c++", "-fsyntax-only", "-")

    failures = 0
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for result in pool.map(precompile, {large for large in large_of.values() if large}):
            if result.returncode:
                sys.exit(result.stderr)
        together = list(chains(large_of, known))
        for chain, result in zip(together, pool.map(compile_chain, together)):
            alone = [compile_chain([header]) for header in chain] if result.returncode else []
            for header, result in zip(chain, alone):
                if result.returncode:
                    failures += 1
                    print(f"{header} does not compile alone:\n{result.stderr}")
    print(f"{len(large_of)} headers, {failures} of them not alone")
    sys.exit(min(failures, 1))


if __name__ == "__main__":
    main()
