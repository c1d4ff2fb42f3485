"""The views of the page, one a file."""

from __future__ import annotations

from typing import Final

from farthing.web.view import View
from farthing.web.views.accuracy import VIEW as ACCURACY
from farthing.web.views.article import VIEW as ARTICLE
from farthing.web.views.catalogue import VIEW as CATALOGUE
from farthing.web.views.compare import VIEW as COMPARE
from farthing.web.views.design import VIEW as DESIGN
from farthing.web.views.faults import VIEW as FAULTS
from farthing.web.views.inference import VIEW as INFERENCE
from farthing.web.views.serving import VIEW as SERVING
from farthing.web.views.training import VIEW as TRAINING

VIEWS: Final[dict[str, View]] = {
    view.name: view
    for view in (INFERENCE, TRAINING, DESIGN, COMPARE, SERVING, FAULTS, ACCURACY, ARTICLE, CATALOGUE)
}
"""By name, in the order of the menu."""
