"""forefill's service: keystroke, session, plan, engine, answer. Its modules are the interface; `engine` is the seam."""
