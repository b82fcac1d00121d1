"""The chat about the portfolio: hear → ask ⇄ look_up → close, over tools that read. None of them can order."""
