// What the page draws charts with. Expressions are interpreted: a strict policy allows no code made from text.
export { expressionInterpreter } from "vega-interpreter";
export { View, Warn, parse } from "vega";
export { compile } from "vega-lite";
