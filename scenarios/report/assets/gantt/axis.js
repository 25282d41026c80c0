// Marks of a time axis: round times between two, and what the labels count from if all digits would not fit.
function timeMarks(from_s, to_s, most) {
  const rough = (to_s - from_s) / most, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((each) => each * power).find((each) => each >= rough);
  const base = to_s / step > 2000 ? Math.floor(from_s / (10 * step)) * 10 * step : 0;
  const scale = unit(to_s - base), marks = [];
  for (let i = Math.ceil(from_s / step); i * step <= to_s; i++) {
    marks.push({ at_s: i * step, text: `${Number(((i * step - base) * scale.factor).toPrecision(6))} ${scale.name}` });
  }
  return { marks, title: base ? `from ${Number(base.toPrecision(9))} s into the run` : "time into the run" };
}
