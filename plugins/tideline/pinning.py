"""What a run acts on is fixed once, after intake: batches, base, trained version, and the name of its generation."""

from __future__ import annotations

from dataclasses import replace

from embeddings.failpoints import failpoint
from embeddings.settings import Settings
from tideline.run import Run, name_generation


def pin(run: Run, settings: Settings) -> Run:
    """Fix what the run acts on: all batches of now, the base nightly of an hour, the trained version, and the name of
    its generation.

    A batch is new if no committed run of an earlier `as_of` used it; where nothing was ever committed nothing is new.
    An hour goes on with the version of its base, so that a user's lists do not change hands between two nights; any
    other run takes the champion of its text model that knows nothing of `as_of` or later.
    """
    from embeddings.encoder import identify_model
    from tideline.dbt import digest_project
    from tideline.intake import list_batches
    from tideline.models import champion_for
    from tideline.ranking import UNTRAINED
    from tideline.serving import manifest
    from tideline.serving.folding import used_batches

    used = used_batches(settings.root, run.window.as_of)
    batches = tuple(batch["batch_id"] for batch in list_batches(settings.root))
    base = manifest.base_for(run, settings.root) if run.kind == "hourly" else None
    text_model = identify_model(settings)
    champion = champion_for(settings.root, run.window.as_of, text_model)
    model = base.model if base else champion.name if champion else None
    run = replace(
        run,
        batches=batches,
        new_batches=tuple(batch for batch in batches if batch not in used) if used is not None else (),
        base=base.run_id if base else None,
        model_version=f"{model or UNTRAINED}+{text_model}",
        model=model,
    )
    extra = {
        "fusion_gate": settings.fusion_gate,
        "base": base.generation if base else None,
        "dbt_project": digest_project(),
    }
    run = replace(run, generation=name_generation(run, extra))
    failpoint("run.pin.before")
    run.save()
    failpoint("run.pin.after")
    return run
