"""Every public name, used as a lesson uses it; `test_types.py` checks the types."""

import inception_edu as ie

names: list[str] = ie.list_models()
model = ie.create_model("mini_v4", num_classes=10, aux=False)
loaded = ie.load_weights(model, model.state_dict())
trained = ie.load_pretrained("mini_v4")
fused = ie.fuse(trained.eval())
trace: ie.Trace = ie.trace(model, (1, 3, 48, 48))
macs: int = trace.macs
text: str = ie.diagram(trace, title="mini").text
data = ie.digits_at_scale(6000, seed=1)
history = ie.fit("mini_v4", data, ie.recipes.quick, epochs=1)
guess = ie.predict("00-depth", "How deep?", 22, unit="layers")
ie.predict("00-which", "Which?", options=["1x1", "3x3"]).reveal("1x1")
ie.quiz("00-family", answer="b")
shown = ie.progress()
times = ie.latency({"plain": model, "fused": fused}, rounds=3)
ie.check.conv_macs(lambda *sizes: 0)
explorer = ie.explore.module(start={"version": "naive"})
