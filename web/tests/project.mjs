// A project of somebody else: a temporary folder into which npm has installed the package as it would be published.
import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after } from "node:test";
import { fileURLToPath } from "node:url";

const web = fileURLToPath(new URL("..", import.meta.url));

/** Runs npm; what it says is shown where it fails. */
function npm(folder, ...command) {
  const quiet = ["--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error"];
  const options = { cwd: folder, encoding: "utf8", stdio: ["ignore", "pipe", "inherit"], shell: process.platform === "win32" };
  return execFileSync("npm", [...command, ...quiet], options);
}

/** The file that `npm pack` makes: in the folder `CONCLAVE_PACKED`, where `cargo xtask` has put it, else made now. */
function packed(folder) {
  const { version } = JSON.parse(readFileSync(join(web, "package.json"), "utf8"));
  const into = process.env.CONCLAVE_PACKED;
  if (into === undefined) npm(web, "pack", "--pack-destination", folder);
  const file = join(resolve(into ?? folder), `conclave-web-${version}.tgz`);
  if (!existsSync(file)) throw new Error(`there is no ${file}: \`npm pack\` makes it`);
  return file;
}

/** Makes a project, with copies of `files`; it is gone when the tests are done. Gives its folder. */
export function makeProject(...files) {
  const folder = mkdtempSync(join(tmpdir(), "conclave-project-"));
  after(() => rmSync(folder, { recursive: true, force: true }));
  writeFileSync(join(folder, "package.json"), JSON.stringify({ name: "project", private: true, type: "module" }));
  // Nothing else is needed of a registry: the package has no dependencies.
  npm(folder, "install", "--offline", "--no-package-lock", packed(folder));
  for (const file of files) cpSync(file, join(folder, file.pathname.split("/").pop()), { recursive: true });
  return folder;
}
