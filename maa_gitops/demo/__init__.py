"""The story: what maa does, for real, in a throw-away folder.

It types what people would type and holds what came of it to what it tells. It decides nothing and stays in its folder;
who calls it chooses the folder, prints the lines, and removes or keeps what is left.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from maa_gitops.demo import on_graph, on_local
from maa_gitops.demo.stage import Scene, Stage, narrate, set_stage

TARGETS = ("local", "graph")
"""Where a story can happen."""


def tell(
    folder: Path,
    environment: Mapping[str, str],
    say: Callable[[str], None],
    maa: Sequence[str],
    target: str = "local",
) -> None:
    """Play a whole story in an empty folder, telling it line by line: on a local tenant, or on an embedded Graph.

    ``maa`` is how a command line of its own begins. Nothing of the caller's set-up is used but the PATH.

    Raises:
        RepositoryError: ``demoFailed``, something did not happen as told; ``folderNotEmpty``.
    """
    stage = set_stage(folder, environment, say, maa)
    narrate(stage, f"Everything happens in {stage.folder}: no key, setting or repository of yours is used.")
    if target == "local":
        _play(stage, on_local.SCENES)
    else:
        with on_graph.scenes(stage) as scenes:
            _play(stage, scenes)
    narrate(stage, f"The folder is {stage.folder}, with a clone in each home; 'maa demo --keep' leaves it to look at.")


def _play(stage: Stage, scenes: Sequence[Scene]) -> None:
    for number, (title, scene) in enumerate(scenes, start=1):
        stage.say("")
        stage.say(f"{number}. {title}")
        scene(stage)
    stage.say("")
    stage.say("It all happened as told:")
    for title, _ in scenes:
        stage.say(f"  - {title}")
