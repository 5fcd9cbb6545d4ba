"""Makers of what lies in assets/: python -m tradeoff_core.tools.NAME"""

import argparse
from pathlib import Path

import torch


def parser_of(description: str | None) -> argparse.ArgumentParser:
    """What a tool that measures models is asked: MODEL ..., none for all of them, and --threads."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="*", metavar="MODEL")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    return parser


def named_models(description: str | None) -> list[str]:
    """The models that a tool is asked for, none for all of them."""
    arguments = parser_of(description).parse_args()
    torch.set_num_threads(arguments.threads)
    names: list[str] = arguments.models
    return names


def share_of_work(description: str | None) -> tuple[Path, slice]:
    """The folder of the runs, and which of a tool's runs this process does: --runs, --threads and --part K/M."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--part", default="1/1")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    part, parts = (int(number) for number in arguments.part.split("/"))
    return arguments.runs, slice(part - 1, None, parts)
