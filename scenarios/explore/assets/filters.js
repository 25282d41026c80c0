// The bar of filters: a button for each value where there are few, else two numbers.
(() => {
  const bar = document.getElementById("filter-bar"), tags = document.getElementById("tags"), count = document.getElementById("count");
  const refreshers = [];

  function group(title, ...children) {
    const set = document.createElement("fieldset"), legend = document.createElement("legend");
    legend.textContent = title;
    set.append(legend, ...children);
    bar.append(set);
  }

  function button(text, pressed, click) {
    const made = document.createElement("button");
    made.type = "button";
    made.textContent = text;
    made.addEventListener("click", click);
    refreshers.push(() => made.setAttribute("aria-pressed", String(pressed())));
    return made;
  }

  function chips(item) {
    const list = document.createElement("div");
    list.className = "chips";
    list.dataset.key = item.key;
    list.append(...item.distinct.map((value, place) => button(item.label(value), () => model.filters.get(item.key)?.has(place) ?? true, () => {
      const kept = new Set(model.filters.get(item.key) ?? item.distinct.keys());
      if (!model.filters.has(item.key)) kept.clear(); // the first click keeps that one alone
      kept.has(place) ? kept.delete(place) : kept.add(place);
      model.choose(item.key, kept);
      model.update("filters");
    })));
    return list;
  }

  function range(item) {
    const ends = [0, 1].map((end) => {
      const input = document.createElement("input");
      input.type = "number";
      input.step = "any";
      input.dataset.key = item.key;
      input.setAttribute("aria-label", `${item.title}, ${end ? "at most" : "at least"}`);
      input.placeholder = String(end ? item.high : item.low);
      input.addEventListener("change", () => {
        const [low, high] = ends.map((each) => each.value);
        model.keep(item.key, low === "" && high === "" ? null : [low === "" ? -Infinity : Number(low), high === "" ? Infinity : Number(high)]);
        model.update("filters");
      });
      refreshers.push(() => {
        const kept = model.filters.get(item.key);
        input.value = kept && Number.isFinite(kept[end]) ? String(Number(kept[end].toPrecision(4))) : "";
      });
      return input;
    });
    const span = document.createElement("span");
    span.className = "range";
    span.append(ends[0], " – ", ends[1]);
    return span;
  }

  for (const item of model.columns.filter((each) => each.role !== "figure" && each.distinct.length > 1)) {
    group(item.title, item.few ? chips(item) : range(item));
  }
  if (report.feasible.includes("0")) {
    const only = button("only those that meet them", () => model.feasibleOnly, () => {
      model.feasibleOnly = !model.feasibleOnly;
      model.update("filters");
    });
    const list = document.createElement("div");
    list.className = "chips";
    list.append(only);
    group(`Constraints: ${report.constraints.map(said).join(", ")}`, list);
  }

  function said(constraint) {
    const item = model.get(constraint.figure), bounds = [];
    if (constraint.at_least != null) bounds.push(`≥ ${reading(constraint.at_least, item?.unit)}`);
    if (constraint.at_most != null) bounds.push(`≤ ${reading(constraint.at_most, item?.unit)}`);
    return `${item?.title ?? constraint.figure} ${bounds.join(" and ")}`;
  }

  function brushed() { // filters that no control above shows
    tags.replaceChildren(...[...model.filters].filter(([key]) => model.get(key).role === "figure").map(([key, [low, high]]) => {
      const item = model.get(key), made = document.createElement("button");
      made.type = "button";
      made.setAttribute("aria-pressed", "true");
      made.textContent = `${item.title} ${item.label(Math.max(low, item.low))} – ${item.label(Math.min(high, item.high))} ×`;
      made.addEventListener("click", () => { model.keep(key, null); model.update("filters"); });
      return made;
    }));
  }

  figure(() => {
    refreshers.forEach((refresh) => refresh());
    count.textContent = `${model.shown.length.toLocaleString("en")} of ${model.size.toLocaleString("en")} runs shown`;
    brushed();
  });
  document.getElementById("reset").addEventListener("click", () => model.reset());
})();
