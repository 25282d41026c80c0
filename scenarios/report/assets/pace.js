// From a part of a critical path to where it is in the timeline.
document.querySelectorAll(".pace button").forEach((part) => part.addEventListener("click", async () => {
  await gantt?.showCause(part.closest("li").dataset.label, Number(part.dataset.cause));
  document.getElementById("timeline").scrollIntoView();
}));
