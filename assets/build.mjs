// Builds src/farthing/web/static/vendor: scripts, their licences, and what is in them.
import { build } from "esbuild";
import { createHash } from "node:crypto";
import { cpSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync, existsSync } from "node:fs";

const OUT = "../src/farthing/web/static/vendor";
const TESTS = "../tests/e2e/vendor";

const hash = (file) => createHash("sha256").update(readFileSync(file)).digest("hex");
const about = (name) => JSON.parse(readFileSync(`node_modules/${name}/package.json`, "utf8"));
const licence = (name) =>
  readdirSync(`node_modules/${name}`)
    .filter((file) => /^licen[sc]e/i.test(file))
    .map((file) => readFileSync(`node_modules/${name}/${file}`, "utf8").trim())
    .join("\n\n");

rmSync(OUT, { recursive: true, force: true });
mkdirSync(OUT, { recursive: true });
mkdirSync(TESTS, { recursive: true });

const bundle = await build({
  entryPoints: ["vega.mjs"],
  bundle: true,
  minify: true,
  format: "iife",
  globalName: "farthingVega",
  target: "es2022",
  legalComments: "none",
  metafile: true,
  outfile: `${OUT}/vega.min.js`,
});
const inside = new Set(
  Object.keys(bundle.metafile.inputs)
    .filter((file) => file.startsWith("node_modules/"))
    .map((file) => file.split("node_modules/").pop().split("/").slice(0, file.includes("/@") ? 2 : 1).join("/")),
);
cpSync("node_modules/htmx.org/dist/htmx.min.js", `${OUT}/htmx.min.js`);
cpSync("node_modules/axe-core/axe.min.js", `${TESTS}/axe.min.js`);
cpSync("node_modules/axe-core/LICENSE", `${TESTS}/axe-LICENSE.txt`);

const packages = ["htmx.org", ...[...inside].sort()];
const listed = packages.filter((name) => existsSync(`node_modules/${name}/package.json`));
writeFileSync(
  `${OUT}/LICENSES.txt`,
  listed.map((name) => `${name} ${about(name).version} (${about(name).license})\n\n${licence(name)}\n`).join(`\n${"-".repeat(80)}\n\n`),
);
const manifest = {
  files: Object.fromEntries(["htmx.min.js", "vega.min.js"].map((file) => [file, hash(`${OUT}/${file}`)])),
  packages: Object.fromEntries(listed.map((name) => [name, { version: about(name).version, license: about(name).license }])),
};
writeFileSync(`${OUT}/manifest.json`, JSON.stringify(manifest, null, 1) + "\n");
