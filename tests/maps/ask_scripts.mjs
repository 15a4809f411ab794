// Answers questions to scripts of the pages that need no page: [module, function, arguments] each, as JSON.
const questions = JSON.parse(await new Response(process.stdin).text());
const answers = [];
for (const [file, name, given] of questions) {
  const found = await import(new URL(`../../static/js/${file}`, import.meta.url));
  answers.push(found[name](...given) ?? null);
}
process.stdout.write(JSON.stringify(answers));
