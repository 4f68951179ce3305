// Builds the page's script and styles into the Python package, byte for byte the same on every machine.
import { build } from "esbuild";

const into = process.argv[2] ?? "../smearscan/report/review/page";
const shared = { bundle: true, minify: true, charset: "utf8", legalComments: "none", logLevel: "info", target: ["es2022"] };
const license =
  "/*! smearscan review page, AGPL-3.0-or-later, source in web/. Contains Preact, MIT License, (c) 2015-present Jason Miller. */";

await build({
  ...shared,
  entryPoints: ["src/main.tsx"],
  outfile: `${into}/page.js`,
  format: "iife",
  jsx: "automatic",
  jsxImportSource: "preact",
  banner: { js: license },
});
await build({ ...shared, entryPoints: ["src/page.css"], outfile: `${into}/page.css` });
