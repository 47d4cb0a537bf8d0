// The reading list, in the server's order.
import type { Item } from "./api";

function wait(seconds: number): string {
    const minutes = Math.floor(seconds / 60);
    return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

export function List({ list }: { list: Item[] }) {
    return (
        <main>
            <h1>Reading list</h1>
            <table>
                <thead>
                    <tr>
                        <th>Urgency</th>
                        <th>Patient</th>
                        <th>ID</th>
                        <th>Study</th>
                        <th>Waiting</th>
                        <th>Why here</th>
                    </tr>
                </thead>
                <tbody>
                    {list.map((item) => (
                        <tr key={item.study} class={item.capped ? "capped" : item.urgency} data-study={item.study}>
                            <td>{item.urgency}</td>
                            <td>
                                <a href={`#${item.study}`}>{item.patientName.replace("^", ", ") || "(no name)"}</a>
                            </td>
                            <td>{item.patientId}</td>
                            <td>
                                {item.modality.replaceAll("\\", ", ")} {item.description}
                            </td>
                            <td>{wait(item.waiting_s)}</td>
                            <td>{item.reason}</td>
                        </tr>
                    ))}
                </tbody>
            </table>
            {list.length === 0 && <p>Nothing waits to be read.</p>}
        </main>
    );
}
