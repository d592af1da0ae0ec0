// One session of the npm package dicomweb-client, making the calls a browser's viewer makes; prints what it was given as JSON.
// Arguments: address of the DICOMweb service, address of WADO-URI, folder of DICOM files, UIDs (study, series, instance
// of a CT slice; series and instance of a loop).
console.debug = console.error;  // the client chats there; what is printed is ours alone
const fs = require("fs");
const path = require("path");

global.XMLHttpRequest = require("xhr2");
const { api } = require("dicomweb-client");

const [url, uri, folder, studyInstanceUID, ctSeries, ct, loopSeries, loop] = process.argv.slice(2);
const client = new api.DICOMwebClient({ url, verbose: false });
const single = new api.DICOMwebClient({ url, verbose: false, singlepart: true });
const slice = { studyInstanceUID, seriesInstanceUID: ctSeries, sopInstanceUID: ct };
const cine = { studyInstanceUID, seriesInstanceUID: loopSeries, sopInstanceUID: loop };
const hex = (data, count) => Buffer.from(data).subarray(0, count).toString("hex");
const status = async (work) => { try { await work; return 0; } catch (error) { return error.status; } };

async function main() {
    const said = {};
    const datasets = fs.readdirSync(folder).sort().map((name) => {
        const data = fs.readFileSync(path.join(folder, name));
        return data.buffer.slice(data.byteOffset, data.byteOffset + data.length);
    });
    const stored = await client.storeInstances({ datasets });
    said.stored = JSON.parse(stored)["00081199"].Value.length;
    const studies = await client.searchForStudies({
        queryParams: {
            limit: 101, offset: 0, fuzzymatching: false, includefield: "00081030,00080060,00080090,00100030",
            PatientName: "*anarien*", StudyInstanceUID: studyInstanceUID,
        },
    });
    said.studies = studies.map((study) => [study["0020000D"].Value[0], study["00201208"].Value[0], study["00080061"].Value]);
    said.nothing = await client.searchForStudies({ queryParams: { PatientID: "nobody has this" } });
    const series = await client.searchForSeries({ studyInstanceUID, queryParams: { includefield: "0008103E,00080021" } });
    said.series = series.length;
    said.instances = (await client.searchForInstances(slice)).length;
    said.studyMetadata = (await client.retrieveStudyMetadata({ studyInstanceUID })).length;
    said.seriesMetadata = (await client.retrieveSeriesMetadata(slice)).length;
    said.metadata = (await client.retrieveInstanceMetadata(slice))[0]["00080018"].Value[0];
    said.frames = (await client.retrieveInstanceFrames({ ...cine, frameNumbers: [1, 2, 12] })).map((frame) => frame.byteLength);
    said.single = (await single.retrieveInstanceFrames({ ...slice, frameNumbers: [1] })).map((frame) => frame.byteLength);
    said.instance = hex((await client.retrieveInstance(slice)).slice(128), 4);
    said.wholeSeries = (await client.retrieveSeries(slice)).length;
    said.wholeStudy = (await client.retrieveStudy({ studyInstanceUID })).length;
    const mediaTypes = [{ mediaType: "image/jpeg" }];
    said.rendered = hex((await client.retrieveInstanceRendered({ ...slice, mediaTypes }))[0], 2);
    said.thumbnail = hex((await client.retrieveInstanceThumbnail({ ...slice, mediaTypes }))[0], 2);
    said.frameRendered = hex((await client.retrieveInstanceFramesRendered({ ...cine, frameNumbers: [2], mediaTypes }))[0], 2);
    said.frameThumbnail = hex((await client.retrieveInstanceFramesThumbnail({ ...cine, frameNumbers: [2], mediaTypes }))[0], 2);
    const pixels = (await client.retrieveInstanceMetadata(slice))[0]["7FE00010"].BulkDataURI;
    said.bulk = (await client.retrieveBulkData({ BulkDataURI: pixels })).map((data) => data.byteLength);
    said.piece = (await client.retrieveBulkData({ BulkDataURI: pixels, byteRange: [0, 9] })).map((data) => data.byteLength);
    said.missing = await status(client.retrieveStudyMetadata({ studyInstanceUID: "1.2.3.4" }));
    const wado = new api.DICOMwebClient({ url: uri, verbose: false });
    said.uri = wado.buildInstanceWadoURIUrl({ ...slice, contentType: "image/jpeg" });
    process.stdout.write(JSON.stringify(said));
}

main().catch((error) => { console.error(error.stack, error.status, String(error.response).slice(0, 300)); process.exit(1); });
