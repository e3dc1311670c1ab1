// Calls of AWS as a JSON list on standard input; what IAM says to each as a JSON list on standard output.

const { readFileSync } = require("node:fs");
const { runSimulation } = require("@cloud-copilot/iam-simulate");

async function verdict(call) {
  const answer = await runSimulation({ serviceControlPolicies: [], resourceControlPolicies: [], ...call }, {});
  if (answer.resultType !== "single") throw new Error(JSON.stringify([call.request, answer.errors ?? answer.results]));
  return answer.overallResult;
}

Promise.all(JSON.parse(readFileSync(0, "utf8")).map(verdict)).then((verdicts) => console.log(JSON.stringify(verdicts)));
