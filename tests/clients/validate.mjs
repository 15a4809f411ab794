// Validates pages against the HTML standard. Standard input: a JSON object, page by name. Standard output: a JSON
// object with what is wrong in each page that is not valid.
import { text } from "node:stream/consumers";
import { HtmlValidate, StaticConfigLoader } from "html-validate";

const off = ["no-redundant-role", "long-title", "require-sri", "no-inline-style"]; // taste, no rule of the standard
const rules = Object.fromEntries(off.map((name) => [name, "off"]));
const loader = new StaticConfigLoader({ extends: ["html-validate:standard"], rules });
const validator = new HtmlValidate(loader);
const pages = JSON.parse(await text(process.stdin));
const found = {};
for (const [name, page] of Object.entries(pages)) {
  const report = await validator.validateString(page);
  const lines = page.split("\n");
  const wrong = report.results.flatMap(({ messages }) =>
    messages.map(({ ruleId, message, line }) => `${ruleId}: ${message} ${lines[line - 1].slice(0, 160)}`),
  );
  if (wrong.length) found[name] = [...new Set(wrong)];
}
process.stdout.write(JSON.stringify(found));
