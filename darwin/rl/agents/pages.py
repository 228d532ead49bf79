"""All pages by name, in the order in which a candidate meets the agents."""

from __future__ import annotations

from darwin.rl.agents import gate, meta_learner, portfolio
from darwin.rl.agents.spec import AgentSpec

PAGES: dict[str, AgentSpec] = {
    page.name: page for page in (gate.PAGE, meta_learner.PAGE, portfolio.PAGE)
}
