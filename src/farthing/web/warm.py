"""What every worker process begins with: all views imported, and one answer of each quick one given."""

from __future__ import annotations

from farthing.web.answers import Job, reply_to
from farthing.web.views import VIEWS

for _view in VIEWS.values():
    if not _view.slow:
        reply_to(Job(view=_view.name, form="page", values=()))
