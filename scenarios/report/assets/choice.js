// Buttons in a group, of which one is on; `picked` is told which, by its place.
function choice(group, titles, on, picked) {
  group.replaceChildren(...titles.map((title, i) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = title;
    button.setAttribute("aria-pressed", String(i === on));
    button.addEventListener("click", () => {
      for (const each of group.children) each.setAttribute("aria-pressed", String(each === button));
      picked(i);
    });
    return button;
  }));
}
