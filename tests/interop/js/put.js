// Puts one batch by the SDK of AWS for JavaScript: what to put as JSON on stdin, what came of it
// as JSON on stdout. NODE_PATH names the folder in which the SDK is installed.

"use strict";

const fs = require("node:fs");
const https = require("node:https");
const sdk = require("@aws-sdk/client-firehose");

async function put({ url, ca, region, stream, records }) {
  const client = new sdk.FirehoseClient({
    region,
    endpoint: url,
    maxAttempts: 1,
    requestHandler: { httpsAgent: new https.Agent({ ca }) },
  });
  const input = {
    DeliveryStreamName: stream,
    Records: records.map((data) => ({ Data: Buffer.from(data, "base64") })),
  };
  try {
    const answer = await client.send(new sdk.PutRecordBatchCommand(input));
    return { failed: answer.FailedPutCount, entries: answer.RequestResponses };
  } catch (error) {
    // Only the exceptions that the service documents are classes of the SDK.
    const documented = sdk[error.name];
    if (typeof documented !== "function" || !(error instanceof documented)) {
      throw error;
    }
    const status = error.$metadata.httpStatusCode;
    return { error: error.name, status, message: error.message };
  } finally {
    client.destroy();
  }
}

put(JSON.parse(fs.readFileSync(0, "utf8"))).then(
  (result) => process.stdout.write(JSON.stringify(result)),
  (error) => {
    console.error(error);
    process.exitCode = 1;
  },
);
